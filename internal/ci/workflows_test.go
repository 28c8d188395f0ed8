// SPDX-License-Identifier: Apache-2.0

//go:build unix

package ci

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type shell struct {
	Run struct{ Shell string }
}

type step struct {
	Name, ID, If, Uses, Run, Shell string
	With                           map[string]any
	Env                            map[string]string
}

type job struct {
	Name        string
	RunsOn      string `yaml:"runs-on"`
	If          string
	Timeout     int `yaml:"timeout-minutes"`
	Container   map[string]string
	Permissions map[string]string
	Strategy    struct {
		FailFast *bool `yaml:"fail-fast"`
		Matrix   struct {
			Target  []string
			Include []map[string]string
		}
	}
	Env      map[string]string
	Defaults shell
	Steps    []step
}

// workflow is what is used of GitHub's schema. A key that isn't known is an error,
// so that one with a typing mistake is found here.
type workflow struct {
	Name        string
	On          map[string]any
	Permissions map[string]string
	Concurrency struct {
		Group  string
		Cancel string `yaml:"cancel-in-progress"`
	}
	Defaults shell
	Env      map[string]string
	Jobs     map[string]job

	file string
}

func workflows(t *testing.T) []workflow {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%d workflows, %v", len(files), err)
	}
	var out []workflow
	for _, file := range files {
		w := workflow{file: filepath.Base(file)}
		decode(t, file, &w)
		out = append(out, w)
	}
	return out
}

func decode(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", filepath.Base(file), err)
	}
}

// steps returns the steps that run a script, each with the shell that it gets.
func (w workflow) steps() []step {
	var out []step
	for _, j := range w.Jobs {
		for _, s := range j.Steps {
			if s.Run == "" {
				continue
			}
			for _, other := range []string{j.Defaults.Run.Shell, w.Defaults.Run.Shell} {
				if s.Shell == "" {
					s.Shell = other
				}
			}
			out = append(out, s)
		}
	}
	return out
}

// targets returns the make targets that a job runs. "$TARGET" stands for all that
// its matrix has.
func (j job) targets() []string {
	var out []string
	for _, s := range j.Steps {
		for _, m := range regexp.MustCompile(`(?m)\bmake +(.*)$`).FindAllStringSubmatch(s.Run, -1) {
			for _, word := range strings.Fields(m[1]) {
				switch {
				case word != `"$TARGET"`:
					out = append(out, word)
				case j.Env["TARGET"] == "${{ matrix.target }}":
					out = append(out, j.Strategy.Matrix.Target...)
					for _, i := range j.Strategy.Matrix.Include {
						out = append(out, i["target"])
					}
				}
			}
		}
	}
	return out
}

// prerequisites maps each target of the Makefile to what it needs.
func prerequisites(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z-]*):([^=\n]*)$`).FindAllStringSubmatch(read(t, "Makefile"), -1) {
		needs, _, _ := strings.Cut(m[2], "#")
		out[m[1]] = append(out[m[1]], strings.Fields(needs)...)
	}
	if len(out) < 15 {
		t.Fatalf("only %d targets were found in the Makefile", len(out))
	}
	return out
}

// TestWorkflows: what a workflow runs exists in the Makefile and is part of make
// test. Each may read the repository and no more, and each ends.
func TestWorkflows(t *testing.T) {
	needs := prerequisites(t)
	tested := []string{"test"}
	for i := 0; i < len(tested); i++ {
		tested = append(tested, needs[tested[i]]...)
	}
	// A part of vmtest, and what takes too long for it.
	tested = append(tested, "vmtest-kernel", "soak", "fuzz")
	run := map[string]bool{}
	for _, w := range workflows(t) {
		if len(w.Permissions) != 1 || w.Permissions["contents"] != "read" {
			t.Errorf("%s: permissions are %v", w.file, w.Permissions)
		}
		if w.Concurrency.Group == "" {
			t.Errorf("%s has no concurrency group", w.file)
		}
		for name, j := range w.Jobs {
			if j.Timeout == 0 || len(j.Permissions) > 0 {
				t.Errorf("%s, %s: timeout %d, permissions %v", w.file, name, j.Timeout, j.Permissions)
			}
			for _, target := range j.targets() {
				run[target] = true
				if needs[target] == nil && !slices.Contains(tested, target) {
					t.Errorf("%s, %s: the Makefile has no target %q", w.file, name, target)
				} else if !slices.Contains(tested, target) {
					t.Errorf("%s, %s: %s is no part of make test", w.file, name, target)
				}
			}
			for _, s := range j.Steps {
				if strings.Contains(s.Run, "${{") {
					t.Errorf("%s, %s: a script contains an expression: whoever gives its value could run anything", w.file, name)
				}
				if strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != false {
					t.Errorf("%s, %s: the checkout leaves its credentials behind", w.file, name)
				}
				if s.Uses != "" && !regexp.MustCompile(`^(\./.*|actions/[a-z-]+@[0-9a-f]{40})$`).MatchString(s.Uses) {
					t.Errorf("%s, %s: uses %s", w.file, name, s.Uses)
				}
			}
		}
	}
	for _, target := range []string{"unit", "lint", "fmt-check", "check-generate", "fuzz-smoke", "benchstat", "browsertest", "promtest", "cross", "vmtest", "vmtest-kernel", "soak", "fuzz"} {
		if !run[target] {
			t.Errorf("no workflow runs make %s", target)
		}
	}
}

// TestOnEveryKernel: the tests that take their kernels from outside are those that
// make vmtest-kernel runs, by their name. Under another, only 6.12 would be booted.
func TestOnEveryKernel(t *testing.T) {
	found := 0
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_vm_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, f := range strings.Split(string(data), "\nfunc ")[1:] {
			name, body, _ := strings.Cut(f, "(")
			if !strings.Contains(body, "vmtest.Kernels()") {
				continue
			}
			if found++; !strings.HasPrefix(name, "TestVM") || !strings.HasSuffix(name, "OnEveryKernel") {
				t.Errorf("%s: %s boots every kernel, and its name isn't TestVM…OnEveryKernel", path, name)
			}
		}
		return nil
	})
	if err != nil || found < 2 {
		t.Errorf("%d tests on every kernel were found, %v", found, err)
	}
}

// TestMatrixHasEveryKernel: the jobs that boot are of the kernels that make test
// boots.
func TestMatrixHasEveryKernel(t *testing.T) {
	m := regexp.MustCompile(`(?m)^KERNELS +\?= (.*)$`).FindStringSubmatch(read(t, "Makefile"))
	if m == nil {
		t.Fatal("the Makefile has no KERNELS")
	}
	var got []string
	for _, w := range workflows(t) {
		for _, i := range w.Jobs["vm"].Strategy.Matrix.Include {
			got = append(got, i["kernel"])
		}
	}
	if want := strings.Fields(m[1]); !slices.Equal(got, want) {
		t.Errorf("the workflow boots %q, make test %q", got, want)
	}
}
