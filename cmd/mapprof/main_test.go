// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite golden files")

// packageDir is where the tests began, for those that go elsewhere.
var packageDir, _ = os.Getwd()

// TestMain makes the test binary what mapprof is: the init of its VMs, and
// the program that their jobs run.
func TestMain(m *testing.M) {
	guestInit()
	endGuestJob()
	testscript.Main(m, map[string]func(){"mapprof": main})
}

// mapprof runs the program in this process.
func mapprof(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// golden compares with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join(packageDir, "testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update rewrites it): got:\n%s\n- wanted, + got:\n%s", path, got,
			cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")))
	}
}

// volatile is what messages hold that differs from run to run.
var volatile = []struct{ pattern, name string }{
	{`\b6\.12\.[^ ,:/]+`, "6.12.X"},
	{`\.tmp-\d+`, ".tmp-N"},
	{`\brun-\d+`, "run-N"},
	{`\[ *\d+\.\d+\]`, "[T]"}, // of a kernel's message
	{`\b(pid|process) \d+`, "$1 N"},
	{`\b\d+kB`, "NkB"},
	{`\b\d+ MiB available`, "N MiB available"},
	{`\bin \d+m?s\b`, "in T"},
}

// masked hides that, and replaces names that the caller knows, in pairs.
func masked(text string, pairs ...string) string {
	text = strings.NewReplacer(pairs...).Replace(text)
	for _, v := range volatile {
		text = regexp.MustCompile(v.pattern).ReplaceAllString(text, v.name)
	}
	return text
}

// messageOf is the program's message out of its standard error, without
// progress before and a guest's console after it.
func messageOf(stderr string) string {
	_, message, found := strings.Cut("\n"+stderr, "\nmapprof: ")
	if !found {
		return "no message"
	}
	message, _, _ = strings.Cut(message, "\nthe end of the guest's console:")
	return "mapprof: " + strings.TrimSpace(message)
}

// builtMapprof builds the program as users have it.
func builtMapprof(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "mapprof")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", bin, ".")
	cmd.Dir = packageDir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}
