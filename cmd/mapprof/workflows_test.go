// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"go.yaml.in/yaml/v3"
)

// yamlBlocks are the blocks of YAML in a page, each that begins as given.
func yamlBlocks(t *testing.T, page, begin string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(packageDir, "..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(data), -1) {
		if strings.HasPrefix(block[1], begin) {
			found = append(found, block[1])
		}
	}
	if len(found) == 0 {
		t.Fatalf("docs/%s has no block that begins with %q", page, begin)
	}
	return found
}

// TestWorkflowsLint: actionlint finds nothing in the workflows that the repository runs and
// shows, and everything that they use is pinned by its commit, but for mapprof itself.
func TestWorkflowsLint(t *testing.T) {
	root := filepath.Join(packageDir, "..", "..")
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	paths, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yml"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no workflows", err)
	}
	for _, path := range append(paths, filepath.Join(root, "action.yml")) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(path)] = string(data)
	}
	texts["docs/ci.md"] = yamlBlocks(t, "ci.md", "name: ")[0]
	project, err := actionlint.NewProject(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range texts {
		if name != "action.yml" {
			faults, err := linter.Lint(name, []byte(text), project)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range faults {
				t.Errorf("%s:%d: %s", name, f.Line, f.Message)
			}
		}
		for _, used := range regexp.MustCompile(`(?m)^\s+(?:- )?uses: (.*)$`).FindAllStringSubmatch(text, -1) {
			own := strings.HasPrefix(used[1], "./") || used[1] == "mapprof/mapprof@main"
			if pinned := regexp.MustCompile(`^actions/[a-z-]+@[0-9a-f]{40} # v[\d.]+$`).MatchString(used[1]); !own && !pinned {
				t.Errorf("%s uses %s, which may change", name, used[1])
			}
		}
	}
	// What the linter would say of a mistake.
	faults, err := linter.Lint("wrong", []byte(strings.Replace(texts["docs/ci.md"], "runs-on", "run-on", 1)), project)
	if err != nil || len(faults) == 0 {
		t.Errorf("a workflow that can't run passes: %v", err)
	}
}

// TestOtherExamples: the examples for GitLab and Kubernetes are YAML, and call mapprof as
// it is called.
func TestOtherExamples(t *testing.T) {
	var daemon struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Args         []string
						VolumeMounts []struct{ Name string } `yaml:"volumeMounts"`
					}
					Volumes []struct{ Name string }
				}
			}
		}
	}
	var lab struct {
		Gate struct{ Script []string }
	}
	for _, e := range []struct {
		begin string
		to    any
	}{{"apiVersion: ", &daemon}, {"gate:\n", &lab}} {
		if err := yaml.Unmarshal([]byte(yamlBlocks(t, "ci.md", e.begin)[0]), e.to); err != nil {
			t.Fatal(err)
		}
	}
	pod := daemon.Spec.Template.Spec
	volumes := map[string]bool{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = true
	}
	for _, m := range pod.Containers[0].VolumeMounts {
		if !volumes[m.Name] {
			t.Errorf("volume %s is mounted, and there is none", m.Name)
		}
	}
	lines := append(strings.Split(pod.Containers[0].Args[0], "\n"), lab.Gate.Script...)
	calls := 0
	for _, line := range lines {
		_, call, ok := strings.Cut(line, "mapprof ")
		if !ok || strings.HasPrefix(line, "apt-get") || strings.Contains(line, "go install") {
			continue
		}
		call, _, _ = strings.Cut(call, ";")
		calls++
		root := newRootCmd()
		cmd, rest, err := root.Find(strings.Fields(call))
		if err == nil {
			err = cmd.ParseFlags(rest)
		}
		if err != nil {
			t.Errorf("mapprof %s: %v", call, err)
		}
	}
	if calls != 5 {
		t.Errorf("%d calls of mapprof in the examples", calls)
	}
}

// TestSoakWorkflow: the weekly workflow runs every long test that there is.
func TestSoakWorkflow(t *testing.T) {
	var want []string
	files, err := filepath.Glob(filepath.Join(packageDir, "*_soak_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatal("no long tests", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (TestVMSoak\w+)\(`).FindAllStringSubmatch(string(data), -1) {
			want = append(want, m[1])
		}
	}
	workflow, err := os.ReadFile(filepath.Join(packageDir, "..", "..", ".github", "workflows", "soak.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^ +- \{test: (\w+)\}$`).FindAllStringSubmatch(string(workflow), -1) {
		got = append(got, m[1])
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the workflow runs %v, there are %v", got, want)
	}
}
