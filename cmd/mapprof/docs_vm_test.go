// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/mapprof/mapprof/target/kernels"
)

// TestVMReadme runs the command whose output README.md shows, and compares
// the two but for the figures.
func TestVMReadme(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(packageDir, "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```console\n\\$ mapprof (run [^\n]*)\n(.*?)```").FindStringSubmatch(string(data))
	if block == nil {
		t.Fatal("README.md shows no run")
	}
	t.Parallel()
	code, stdout, stderr := mapprofIn(t, t.TempDir(), nil, strings.Fields(block[1])...)
	if code != exitOK {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	if got, want := skeleton(withoutBoots(stdout)), skeleton(block[2]); got != want {
		t.Errorf("README.md shows another table than mapprof prints.\n got:\n%s\nwant:\n%s", got, want)
	}
}

// TestVMDocsCI goes through docs/ci.md: every line of its shell blocks in
// order, in one directory. Both kernels are 6.12, so that the gate must pass.
func TestVMDocsCI(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(packageDir, "..", "..", "docs", "ci.md"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := kernels.Resolve(t.Context(), "6.12", kernels.Options{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	policy := docPolicy(t)
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"before.bzImage", "after.bzImage"} {
		if err := os.Symlink(k.Path, in(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(in("gate.yaml"), policy, 0o644); err != nil {
		t.Fatal(err)
	}
	// The runs of many nights are those that the commands before make.
	if err := os.Mkdir(in("nightly"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"before", "both", "after"} {
		if err := os.Symlink(filepath.Join("..", name), in(filepath.Join("nightly", name))); err != nil {
			t.Fatal(err)
		}
	}
	// All of it would take 70 boots: nine are left, about a minute of two idle
	// CPUs. What is gated has the operations that it needs for that.
	shorter := strings.NewReplacer("--strategy rcu,tasks-trace", "--strategy rcu", "--trials 20", "--trials 1 --count 20")
	want := map[string]int{"mapprof gate both --by kernel --baseline-kernel ./before.bzImage": exitInconclusive} // of one turn
	ran := 0
	var wg sync.WaitGroup // runs on the deterministic clock, which may go side by side
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(data), -1) {
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSpace(line)
			args := expanded(t, dir, strings.Fields(shorter.Replace(line)))
			if len(args) == 0 {
				continue
			}
			if strings.HasPrefix(line, "mapprof run ") && strings.Contains(line, "--clock icount") {
				ran++
				wg.Go(func() {
					if code, _, stderr := mapprofIn(t, dir, nil, args[1:]...); code != exitOK {
						t.Errorf("%s: exit %d\n%s", line, code, stderr)
					}
				})
				continue
			}
			if wg.Wait(); t.Failed() {
				return
			}
			switch {
			case strings.HasPrefix(line, "git checkout "): // builds a kernel
			case line == "mapprof gate --self-test": // make selftest is that
			case strings.Contains(line, " --until-decided ") || strings.HasPrefix(line, "mapprof gate decided "): // 20 boots; see TestVMUntilDecided
			case args[0] == "mapprof":
				ran++
				if code, stdout, stderr := mapprofIn(t, dir, nil, args[1:]...); code != want[line] {
					t.Fatalf("%s: exit %d\n%s%s", line, code, stdout, stderr)
				}
			case args[0] == "benchstat": // not installed everywhere; see TestBenchstatReadsExport
			case args[0] == "go":
				ran++
				cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
				cmd.Dir = dir
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", line, err, out)
				}
			default:
				t.Fatalf("%s: run it here, or say why not", line)
			}
		}
	}
	wg.Wait()
	if ran < 14 {
		t.Errorf("docs/ci.md shows only %d commands to run", ran)
	}
	// What the commands leave is not empty.
	for _, name := range []string{"diff.pb.gz", "gate.xml", "before.txt", "after.txt", "after.hlog", "after.om", "after.prom", "after.csv", "both/run.json"} {
		if info, err := os.Stat(in(name)); err != nil || info.Size() == 0 {
			t.Errorf("%s is missing or empty: %v", name, err)
		}
	}
}

// expanded replaces patterns of paths in a directory, as a shell does there.
func expanded(t *testing.T, dir string, args []string) []string {
	t.Helper()
	var out []string
	for _, a := range args {
		if !strings.Contains(a, "*") {
			out = append(out, a)
			continue
		}
		paths, err := fs.Glob(os.DirFS(dir), strings.TrimPrefix(a, "./"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s is %q: %v", a, paths, err)
		}
		out = append(out, paths...)
	}
	return out
}

// skeleton is the words of a table, without figures, units, rulers, versions
// and paths, nor how it is wrapped.
func skeleton(s string) string {
	s = regexp.MustCompile(`mapprof-runs/\S+|[\d.]+\+deb\S+`).ReplaceAllString(s, "X")
	s = regexp.MustCompile(`[<≥]?\d[\d.,]*\s*(ns|µs|ms|s|B·s|KiB·s|MiB·s|B|KiB|MiB|GiB|%|×)?(\s|$|,|:)`).ReplaceAllString(s, " ")
	s = regexp.MustCompile(`[─│┼┬┴]+`).ReplaceAllString(s, " ")
	return strings.Join(strings.Fields(s), " ")
}

// TestVMDocsAgents runs the recording whose output docs/agents.md shows, and compares
// the two but for the figures.
func TestVMDocsAgents(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(packageDir, "..", "..", "docs", "agents.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```console\n\\$ mapprof (record [^\n]*)\n(.*?)```").FindStringSubmatch(string(data))
	if block == nil {
		t.Fatal("docs/agents.md shows no recording")
	}
	t.Parallel()
	agent := builtAgent(t)
	code, stdout, stderr := mapprofIn(t, filepath.Dir(agent), nil, strings.Fields(block[1])...)
	if code != exitOK {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	args := regexp.MustCompile(`args=\[[^\]]*\]`)
	got, want := skeleton(args.ReplaceAllString(withoutBoots(stdout), "args")), skeleton(args.ReplaceAllString(block[2], "args"))
	if got != want {
		t.Errorf("docs/agents.md shows another table than mapprof prints.\n got:\n%s\nwant:\n%s", got, want)
	}
}
