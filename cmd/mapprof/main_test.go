// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/internal/golden"
	"github.com/rogpeppe/go-internal/testscript"
)

// packageDir is where the tests began, for those that go elsewhere.
var packageDir, _ = os.Getwd()

// TestMain makes the test binary what mapprof is: the init of its VMs, and
// the program that their jobs run.
func TestMain(m *testing.M) {
	guestInit()
	endGuestJob()
	testscript.Main(m, programs)
}

// programs are what this test is under other names, in $PATH.
var programs = map[string]func(){"mapprof": main}

// mapprof runs the program in this process.
func mapprof(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// checkGolden compares with a file in testdata, wherever the test went.
func checkGolden(t *testing.T, name, got string) {
	t.Helper()
	golden.Check(t, filepath.Join(packageDir, "testdata", name), got)
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
