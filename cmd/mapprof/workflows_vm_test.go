// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/mapprof/mapprof/target/kernels"
)

// TestVMWorkflow goes through the workflow of docs/ci.md, and through the action that it
// uses, step by step in a clean directory. The tree is a stand-in for the kernel's, whose
// build is a copy of 6.12. It gates one strategy, to take less time.
func TestVMWorkflow(t *testing.T) {
	t.Parallel()
	var flow struct {
		Jobs map[string]struct {
			Steps []struct {
				Uses, Run string
				With      map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(yamlBlocks(t, "ci.md", "name: ")[0]), &flow); err != nil {
		t.Fatal(err)
	}
	root := filepath.Dir(filepath.Dir(packageDir))
	action := readAction(t)
	k, err := kernels.Resolve(t.Context(), "6.12", kernels.Options{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	tree, bin, temp := filepath.Join(dir, "tree"), filepath.Join(dir, "bin"), filepath.Join(dir, "temp")
	write := func(path, text string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(bin, "sudo"), "#!/bin/sh\necho \"$@\" >> "+dir+"/sudo\n") // packages are installed already
	write(filepath.Join(bin, "gh"), "#!/bin/sh\necho \"$@\" >> "+dir+"/gh\n")
	write(filepath.Join(tree, "scripts", "config"), "#!/bin/sh\ntest -e .config\n")
	write(filepath.Join(tree, "Makefile"), "x86_64_defconfig:\n\ttouch .config\nolddefconfig:\n\ttest -e .config\nbzImage:\n\tmkdir -p arch/x86/boot && cp "+k.Path+" arch/x86/boot/bzImage\n")
	if err := os.Mkdir(temp, 0o755); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "RUNNER_TEMP="+temp, "GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=o/r", "GITHUB_WORKFLOW=w",
		"GITHUB_JOB=gate", "GITHUB_SERVER_URL=https://h", "GITHUB_RUN_ID=1", "GITHUB_STEP_SUMMARY="+filepath.Join(dir, "summary"),
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	script := func(name, text string, env []string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text)
		cmd.Dir, cmd.Env = tree, env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("step %q: %v\n%s", name, err, out)
		}
	}
	script("the tree", "git init -q && git add . && git commit -q -m base && git commit -q --allow-empty -m patch", env)

	values := map[string]string{"github.action_path": root, "github.event.number": "7", "github.token": "token"}
	value := regexp.MustCompile(`\$\{\{ ([\w.-]+)(?: \|\| '(\w+)')? \}\}`)
	for _, s := range flow.Jobs["gate"].Steps {
		if s.Run != "" {
			script("build", s.Run, env)
		}
		if s.Uses != "mapprof/mapprof@main" {
			continue
		}
		expand := func(text string) string {
			return value.ReplaceAllStringFunc(text, func(e string) string {
				m := value.FindStringSubmatch(e)
				v, known := values[m[1]]
				if !known && m[2] == "" {
					t.Fatalf("what is %s?", e)
				}
				if v == "" {
					v = m[2]
				}
				return v
			})
		}
		for name, input := range action.Inputs {
			values["inputs."+name] = expand(input.Default)
		}
		for name, v := range s.With {
			values["inputs."+name] = v
		}
		values["inputs.strategy"], values["inputs.args"] = "rcu", values["inputs.args"]+"\n--jobs=2\n--offline"
		for _, step := range action.Runs.Steps {
			if step.Run == "" {
				continue // GitHub's own
			}
			output := filepath.Join(dir, "output")
			write(output, "")
			stepEnv := append(env, "GITHUB_OUTPUT="+output)
			for name, v := range step.Env {
				stepEnv = append(stepEnv, name+"="+expand(v))
			}
			script(step.Name, step.Run, stepEnv)
			said, err := os.ReadFile(output)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(said)) {
				name, v, _ := strings.Cut(strings.TrimSpace(line), "=")
				values[fmt.Sprintf("steps.%s.outputs.%s", step.ID, name)] = v
			}
		}
	}
	if v := values["steps.mapprof.outputs.verdict"]; v != "pass" {
		t.Errorf("verdict %q", v)
	}
	for path, want := range map[string]string{
		filepath.Join(temp, "comment.md"):                            "**mapprof gate: pass**",
		filepath.Join(dir, "gh"):                                     "-X POST repos/o/r/issues/7/comments",
		filepath.Join(dir, "summary"):                                "limbo/p50",
		filepath.Join(tree, "mapprof-gate", "gate.xml"):              "<testsuite",
		filepath.Join(tree, "mapprof-gate", "gate.md"):               "limbo/p50",
		filepath.Join(dir, "sudo"):                                   "libelf-dev",
		filepath.Join(tree, "mapprof-gate", "candidate", "run.json"): "after.bzImage",
	} {
		if data, err := os.ReadFile(path); err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%s: no %q (%v)", filepath.Base(path), want, err)
		}
	}
}
