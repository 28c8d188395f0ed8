// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type actionStep struct {
	Name, ID, Run, Uses string
	Env                 map[string]string
}

// action is action.yml.
type action struct {
	Inputs map[string]struct{ Default string }
	Runs   struct{ Steps []actionStep }
}

func readAction(t *testing.T) action {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(packageDir, "..", "..", "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var a action
	if err := yaml.Unmarshal(data, &a); err != nil {
		t.Fatal(err)
	}
	for _, s := range a.Runs.Steps {
		if strings.Contains(s.Run, "${{") {
			t.Errorf("the script of step %q contains an expression: whoever gives the input could run anything", s.Name)
		}
	}
	return a
}

func (a *action) step(t *testing.T, name string) actionStep {
	t.Helper()
	i := slices.IndexFunc(a.Runs.Steps, func(s actionStep) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("action.yml has no step %q", name)
	}
	return a.Runs.Steps[i]
}

// TestActionScript runs the script of action.yml with a program in mapprof's
// place that says what it was called with, and whose gate ends as it is told.
func TestActionScript(t *testing.T) {
	a := readAction(t)
	step := a.step(t, "Run and gate")
	for _, c := range []struct {
		name   string
		env    map[string]string
		gate   int
		code   int
		calls  string // what mapprof was called with
		output string
	}{
		{"pass", map[string]string{"BASELINE": "old run"}, 0, 0,
			"run --target vm --kernel k --clock icount --workload churn --strategy rcu --trials 3 -o out/candidate|" +
				"gate --baseline old run --candidate out/candidate --format markdown|gate --baseline old run --candidate out/candidate --junit out/gate.xml",
			"candidate=out/candidate verdict=pass"},
		{"regression", map[string]string{"BASELINE": "old", "POLICY": "p.yaml"}, 3, 3, "--policy p.yaml", "verdict=regression"},
		{"inconclusive", map[string]string{"BASELINE": "old"}, 4, 4, "gate", "verdict=inconclusive"},
		{"failure", map[string]string{"BASELINE": "old"}, 1, 1, "gate", "verdict=error"},
		{"two kernels", map[string]string{"BASELINE_KERNEL": "b; rm -rf x", "ARGS": "--count=5\n--slots=2\n"}, 0, 0,
			"--kernel b; rm -rf x --clock icount --workload churn --strategy rcu --trials 3 -o out/baseline --count=5 --slots=2|run --target vm --kernel k", "verdict=pass"},
		{"no baseline", nil, 9, 0, "-o out/candidate", "candidate=out/candidate verdict=none"},
		{"self-test", map[string]string{"SELF_TEST": "true"}, 4, 4, "gate --self-test --kernel k --trials 3", "verdict=inconclusive"},
		{"a failed run", map[string]string{"BASELINE": "old", "KERNEL": "broken"}, 0, 1, "run", "verdict=error"},
		{"its own result", map[string]string{"BASELINE": "out/candidate"}, 0, 2, "", "verdict=error"},
	} {
		dir := t.TempDir()
		fake := fmt.Sprintf("#!/bin/sh\necho \"$@\" >> calls\ncase \"$*\" in gate*) exit %d;; *broken*) exit 1;; esac\n", c.gate)
		if err := os.WriteFile(filepath.Join(dir, "mapprof"), []byte(fake), 0o755); err != nil {
			t.Fatal(err)
		}
		// A run that an earlier job left.
		if err := os.MkdirAll(filepath.Join(dir, "out", "candidate", "deaths"), 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.Run)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "RUNNER_TEMP="+dir, "GITHUB_OUTPUT="+filepath.Join(dir, "output"))
		set := map[string]string{"KERNEL": "k", "WORKLOAD": "churn", "STRATEGY": "rcu", "TRIALS": "3", "CLOCK": "icount", "OUT": "out", "SELF_TEST": "false"}
		for name := range step.Env {
			value := set[name]
			if v, ok := c.env[name]; ok {
				value = v
			}
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		calls, _ := os.ReadFile(filepath.Join(dir, "calls"))
		output, _ := os.ReadFile(filepath.Join(dir, "output"))
		if cmd.ProcessState.ExitCode() != c.code {
			t.Errorf("%s: exit code %d, want %d: %s", c.name, cmd.ProcessState.ExitCode(), c.code, out)
		}
		if got := strings.ReplaceAll(string(calls), "\n", "|"); !strings.Contains(got, c.calls) {
			t.Errorf("%s: called %s", c.name, got)
		}
		if got := strings.Join(strings.Fields(string(output)), " "); !strings.HasSuffix(got, c.output) {
			t.Errorf("%s: output %s", c.name, got)
		}
		_, err = os.Stat(filepath.Join(dir, "out", "candidate", "deaths"))
		if left := err == nil; left != (c.env["BASELINE"] == "out/candidate" || c.name == "self-test") {
			t.Errorf("%s: an earlier run is left: %t", c.name, left)
		}
	}
}

// TestActionComments: the table is commented once, and replaced by the next run. A token
// that may not write fails no build.
func TestActionComments(t *testing.T) {
	a := readAction(t)
	step := a.step(t, "Comment")
	for _, c := range []struct {
		name, listed string
		broken       bool
		want, says   string
	}{
		{"the first", "", false, "--silent -X POST repos/o/r/issues/7/comments -F body=@", ""},
		{"the next", "31\n44", false, "--silent -X PATCH repos/o/r/issues/comments/31 -F body=@", ""},
		{"a fork's", "", true, "--paginate repos/o/r/issues/7/comments", "::warning"},
	} {
		dir := t.TempDir()
		fake := fmt.Sprintf("#!/bin/sh\necho \"$@\" >> calls\nif %t; then exit 1; fi\ncase \"$*\" in *paginate*) printf '%s';; esac\n", c.broken, c.listed)
		if err := os.WriteFile(filepath.Join(dir, "gh"), []byte(fake), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "gate.md"), []byte("| the table |\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.Run)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "RUNNER_TEMP="+dir, "OUT=.", "PULL_REQUEST=7", "VERDICT=regression",
			"GITHUB_REPOSITORY=o/r", "GITHUB_WORKFLOW=w", "GITHUB_JOB=j", "GITHUB_SERVER_URL=https://h", "GITHUB_RUN_ID=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), c.says) {
			t.Errorf("%s: %v %s", c.name, err, out)
		}
		calls, _ := os.ReadFile(filepath.Join(dir, "calls"))
		if !strings.Contains(string(calls), c.want) {
			t.Errorf("%s: gh was called with %s", c.name, calls)
		}
		body, _ := os.ReadFile(filepath.Join(dir, "comment.md"))
		if want := "<!-- mapprof gate of w, j -->\n**mapprof gate: regression** ([run](https://h/o/r/actions/runs/1))\n\n| the table |\n"; string(body) != want {
			t.Errorf("%s: commented %q", c.name, body)
		}
	}
}
