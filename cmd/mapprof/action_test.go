// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestActionScript runs the script of action.yml with a program in mapprof's
// place that says what it was called with, and whose gate ends as it is told.
func TestActionScript(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(packageDir, "..", "..", "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var action struct {
		Runs struct {
			Steps []struct {
				ID, Run string
				Env     map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(data, &action); err != nil {
		t.Fatal(err)
	}
	script, defaults := "", map[string]string{}
	for _, s := range action.Runs.Steps {
		if strings.Contains(s.Run, "${{") {
			t.Error("a step's script contains an expression: whoever gives the input could run anything")
		}
		if s.ID == "mapprof" {
			script, defaults = s.Run, s.Env
		}
	}
	for _, c := range []struct {
		name   string
		env    map[string]string
		gate   int
		code   int
		calls  string // what mapprof was called with
		output string
	}{
		{"pass", map[string]string{"BASELINE": "old run"}, 0, 0,
			"run --target vm --kernel k --clock icount --workload churn --strategy rcu --trials 3 -o out/candidate|gate --baseline old run --candidate out/candidate --junit out/gate.xml",
			"candidate=out/candidate verdict=pass"},
		{"regression", map[string]string{"BASELINE": "old", "POLICY": "p.yaml"}, 3, 3, "--policy p.yaml", "verdict=regression"},
		{"inconclusive", map[string]string{"BASELINE": "old"}, 4, 4, "gate", "verdict=inconclusive"},
		{"failure", map[string]string{"BASELINE": "old"}, 1, 1, "gate", "verdict="},
		{"two kernels", map[string]string{"BASELINE_KERNEL": "b; rm -rf x", "ARGS": "--count=5\n--slots=2\n"}, 0, 0,
			"--kernel b; rm -rf x --clock icount --workload churn --strategy rcu --trials 3 -o out/baseline --count=5 --slots=2|run --target vm --kernel k", "verdict=pass"},
		{"no baseline", nil, 9, 0, "-o out/candidate", "candidate=out/candidate"},
		{"self-test", map[string]string{"SELF_TEST": "true"}, 4, 4, "gate --self-test --kernel k --trials 3", ""},
	} {
		dir := t.TempDir()
		fake := fmt.Sprintf("#!/bin/sh\necho \"$@\" >> calls\nif [ \"$1\" = gate ]; then exit %d; fi\n", c.gate)
		if err := os.WriteFile(filepath.Join(dir, "mapprof"), []byte(fake), 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "RUNNER_TEMP="+dir, "GITHUB_OUTPUT="+filepath.Join(dir, "output"))
		set := map[string]string{"KERNEL": "k", "WORKLOAD": "churn", "STRATEGY": "rcu", "TRIALS": "3", "CLOCK": "icount", "OUT": "out", "SELF_TEST": "false"}
		for name := range defaults {
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
		if got := strings.Join(strings.Fields(string(output)), " "); !strings.Contains(got, c.output) {
			t.Errorf("%s: output %s", c.name, got)
		}
	}
}
