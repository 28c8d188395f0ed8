// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/mapprof/mapprof/internal/golden"
	"github.com/mapprof/mapprof/results"
)

// TestVMTutorial follows docs/tutorial.md: every command in order, as a shell runs it, with
// what it prints compared with the page but for the figures (-update rewrites the page).
// Of the agent's releases it reads the culprit off the report: each has its own, and not
// another's.
func TestVMTutorial(t *testing.T) {
	t.Parallel()
	page := filepath.Join(packageDir, "..", "..", "docs", "tutorial.md")
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	clone := t.TempDir()
	for _, name := range []string{"cmd", "go.mod", "go.sum"} {
		if err := os.Symlink(filepath.Join(packageDir, "..", "..", name), filepath.Join(clone, name)); err != nil {
			t.Fatal(err)
		}
	}
	recordings := map[string]string{} // what record printed, by release
	block := regexp.MustCompile("(?s)```console\n(.*?)```")
	ran := 0
	updated := block.ReplaceAllStringFunc(string(data), func(text string) string {
		var b strings.Builder
		for _, step := range strings.Split("\n"+block.FindStringSubmatch(text)[1], "\n$ ")[1:] {
			command, want, _ := strings.Cut(step, "\n")
			ran++
			got := inShell(t, clone, command)
			if m := regexp.MustCompile(`^mapprof record .*/lb-([\d.]+) `).FindStringSubmatch(command); m != nil {
				recordings[m[1]] = got
			}
			if got, want := tutorialSkeleton(got), tutorialSkeleton(want); got != want && !golden.Update() {
				t.Errorf("$ %s\nprints something else than docs/tutorial.md shows.\n got:\n%s\nwant:\n%s", command, got, want)
			}
			fmt.Fprintf(&b, "$ %s\n%s", command, strings.ReplaceAll(got, clone, "/home/you/mapprof"))
		}
		return "```console\n" + b.String() + "```"
	})
	if ran < 8 || len(recordings) != 3 {
		t.Fatalf("docs/tutorial.md shows %d commands and the recordings %v", ran, recordings)
	}
	if golden.Update() {
		if err := os.WriteFile(page, []byte(updated), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for release, printed := range recordings {
		checkCulprit(t, release, printed, filepath.Join(clone, "mapprof-runs", "lb-"+release))
	}
}

// inShell runs a command of a page and returns what it prints.
func inShell(t *testing.T, dir, command string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "bash", "-o", "pipefail", "-c", command)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := cmd.Run(); err != nil {
		t.Fatalf("$ %s\n%v\n%s%s", command, err, &stdout, &stderr)
	}
	return stdout.String()
}

// tutorialSkeleton is the words of what a command prints. Which maps die with lb when it is
// stopped depends on the moment, and whether another program of the guest drops maps
// meanwhile: these rows are left out.
func tutorialSkeleton(s string) string {
	s = regexp.MustCompile(`(?m)^excluded .*$`).ReplaceAllString(s, "excluded")
	s = regexp.MustCompile(`(?m)^ (backends|policies|–) .* immediate .*$`).ReplaceAllString(s, "")
	s = regexp.MustCompile(`args=\[[^\]]*\]`).ReplaceAllString(withoutBoots(s), "args")
	return skeleton(strings.NewReplacer("+", "", "−", "").Replace(s))
}

// checkSchema holds a run to the schema that others read it by.
func checkSchema(t *testing.T, file string) {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(packageDir, "..", "..", "docs", "run.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	run, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(run); err != nil {
		t.Errorf("%s: %v", file, err)
	}
}

// checkCulprit: the report of a release and its page blame what is wrong with it, and
// nothing else. The run itself has it, too.
func checkCulprit(t *testing.T, release, printed, dir string) {
	t.Helper()
	wants := map[string]struct{ pinned, leaked bool }{"1.0": {pinned: true}, "1.1": {leaked: true}, "1.2": {}}
	want, ok := wants[release]
	if !ok {
		t.Fatalf("the tutorial records release %q", release)
	}
	html := filepath.Join(t.TempDir(), "page.html")
	mapprofOK(t, exitOK, "report", dir, "-o", html)
	page, err := os.ReadFile(html)
	if err != nil {
		t.Fatal(err)
	}
	const sentence = `maps of outer map policies stay [^:]+: sleepable program audit of lb uses it`
	for name, text := range map[string]string{"table": strings.Join(strings.Fields(printed), " "), "page": string(page)} {
		if got := regexp.MustCompile(sentence).MatchString(text); got != want.pinned {
			t.Errorf("%s: its %s blames the sleepable program: %v", release, name, got)
		}
		if strings.Contains(text, "of outer map backends stay") {
			t.Errorf("%s: its %s blames backends, which nothing pins", release, name)
		}
	}
	checkSchema(t, filepath.Join(dir, results.RunFile))
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	tr := &d.Run.Scenarios[0].Trials[0]
	pinned := sumOf(tr.Owners, func(o *results.OwnerSum) bool {
		return o.OuterName == "policies" && o.Path == results.StrategyTasksTrace && slices.Equal(o.PinnedBy, []string{"audit of lb"})
	})
	if got := pinned > 0; got != want.pinned {
		t.Errorf("%s: %d deaths are pinned by audit: %+v", release, pinned, tr.Owners)
	}
	held := regexp.MustCompile(`(?m)^ lb +0 +0 B +(\d+) `).FindStringSubmatch(printed)
	if held == nil || tr.Live == nil || tr.Live.End == nil {
		t.Fatalf("%s: no live maps of lb in\n%s", release, printed)
	}
	named := map[string]int{}
	for _, m := range tr.Live.End.Top {
		named[m.Name]++
	}
	// One in the outer map, and one on its way into or out of it.
	if got := named["backend"] > 2; got != want.leaked || named["policy"] > 2 {
		t.Errorf("%s: live are %v", release, named)
	}
	if fmt.Sprint(tr.Live.End.Held.LiveMaps) != held[1] {
		t.Errorf("%s: the table has %s live maps of lb, the run %d", release, held[1], tr.Live.End.Held.LiveMaps)
	}
}
