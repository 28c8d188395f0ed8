// SPDX-License-Identifier: Apache-2.0

//go:build vm && soak

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestVMSoakInstalled: a mapprof that "go install" made, away from its sources, has the
// go tool build itself for an arm64 guest, without the network. The module comes from this checkout's last
// commit.
func TestVMSoakInstalled(t *testing.T) {
	root := filepath.Dir(filepath.Dir(packageDir))
	commit, err := exec.CommandContext(t.Context(), "git", "-C", root, "rev-parse", "HEAD").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	env := append(os.Environ(), "GOBIN="+dir, "GOFLAGS=", "CGO_ENABLED=0", "GOSUMDB=off",
		"GOPROXY=direct", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url.file://"+root+".insteadOf", "GIT_CONFIG_VALUE_0=https://github.com/mapprof/mapprof")
	do := func(name string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Env = dir, env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", filepath.Base(name), args[0], err, out)
		}
		return string(out)
	}
	do("go", "install", "github.com/mapprof/mapprof/cmd/mapprof@"+strings.TrimSpace(string(commit)))
	out := do(filepath.Join(dir, "mapprof"), "run", "--workload", "churn", "--strategy", "rcu", "--count", "30", "--arch", "arm64", "--kernel", "6.12", "--offline", "-o", "run")
	for _, want := range []string{"building mapprof for arm64 from ", "/github.com/mapprof/mapprof@v0.0.0-", "rcu → rcu, 30 deaths"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
