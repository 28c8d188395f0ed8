// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/results"
)

const pprofProcess = "MAPPROF_TEST_PPROF"

// TestPprofProcess is not a test but the process that TestPprof starts: pprof
// keeps its configuration for the whole process and writes to its standard
// output.
func TestPprofProcess(*testing.T) {
	if os.Getenv(pprofProcess) == "" {
		return
	}
	cmd := newPprofCmd()
	cmd.SetArgs(strings.Split(os.Getenv(pprofProcess), "\n"))
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err := cmd.Execute()
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		cli.PrintError(os.Stderr, err)
		os.Exit(exitUsage)
	case err != nil:
		cli.PrintError(os.Stderr, err)
		os.Exit(exitFailure)
	}
	os.Exit(exitOK)
}

// writeRun writes a run of n deaths with one stack, each gpNS in rcu_gp.
func writeRun(t *testing.T, name string, n int, gpNS int64) string {
	t.Helper()
	return writeRunOf(t, name, "6.12.117", n, gpNS)
}

func writeRunOf(t *testing.T, name, kernel string, n int, gpNS int64) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	run := &results.Run{
		Tool: results.Tool{Name: "mapprof"}, Started: time.Unix(1000, 0), Ended: time.Unix(1005, 0),
		Targets: []results.Target{{Kind: "vm", Kernel: results.Kernel{Release: kernel}}},
		Scenarios: []results.Scenario{{ID: "a", Kernel: kernel, Strategy: results.Strategy{Requested: "rcu"},
			Trials: []results.Trial{{Phases: map[string]results.Stats{results.PhaseLimbo: {N: uint64(n)}}}}}},
	}
	stacks := map[string][]results.Frame{"x": {{Function: "bpf_map_free_id"}, {Function: "bpf_map_put"}, {Function: "bpf_map_update_value"}}}
	b := profile.NewBuilder()
	for range n {
		err := b.Add(&results.Death{Scenario: "a", Path: "rcu", Stack: "x", MapType: "Array", MemBytes: 4096,
			PutNS: 1000, EnqueueNS: 2000, RCUEndNS: 2000 + gpNS, FreeNS: 3000 + gpNS, FreedNS: 4000 + gpNS})
		if err != nil {
			t.Fatal(err)
		}
	}
	p, err := b.Build(stacks, profile.MetaOf(run))
	if err != nil {
		t.Fatal(err)
	}
	var gz bytes.Buffer
	if err := profile.Write(&gz, p); err != nil {
		t.Fatal(err)
	}
	w, err := results.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Profile(gz.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(run); err != nil {
		t.Fatal(err)
	}
	return dir
}

// strangersProfile writes a profile that names a file of this machine and
// wants something of the terminal. It also returns a line of that file.
func strangersProfile(t *testing.T) (path, secret string) {
	t.Helper()
	dir := t.TempDir()
	secret = "the secret of this machine"
	source := filepath.Join(dir, "source.c")
	if err := os.WriteFile(source, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &pprof.Mapping{ID: 1, Start: 0x1000, Limit: 0x9000, File: source, HasFunctions: true, HasFilenames: true, HasLineNumbers: true}
	fn := &pprof.Function{ID: 1, Name: "evil_function\x1b[2J\u009b31m", Filename: source, StartLine: 1}
	loc := &pprof.Location{ID: 1, Mapping: m, Address: 0x2000, Line: []pprof.Line{{Function: fn, Line: 1}}}
	p := &pprof.Profile{
		SampleType: []*pprof.ValueType{{Type: "limbo", Unit: "nanoseconds"}},
		Sample: []*pprof.Sample{{Location: []*pprof.Location{loc}, Value: []int64{1e9}, Label: map[string][]string{"label": {"label\x1b[31mred"}},
			NumLabel: map[string][]int64{"size\x1b[31m": {7}}, NumUnit: map[string][]string{"size\x1b[31m": {"things\u009b1m"}}}},
		Mapping: []*pprof.Mapping{m}, Function: []*pprof.Function{fn}, Location: []*pprof.Location{loc},
		Comments: []string{"\x1b]0;title\asaid"},
	}
	path = filepath.Join(dir, "profile.pb.gz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Write(f), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path, secret
}

func TestPprof(t *testing.T) {
	a, b := writeRun(t, "a", 300, 15_000_000), writeRun(t, "b", 200, 45_000_000)
	other, noProfile := writeRunOf(t, "e", "6.1.192", 200, 45_000_000), writeRun(t, "c", 1, 1)
	if err := os.Remove(filepath.Join(noProfile, results.ProfileFile)); err != nil {
		t.Fatal(err)
	}
	damaged := writeRun(t, "d", 1, 1)
	if err := os.Truncate(filepath.Join(damaged, results.ProfileFile), 100); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(synthetic.Edit(noProfile, nil), synthetic.Edit(damaged, nil)); err != nil {
		t.Fatal(err)
	}
	evil, secret := strangersProfile(t)
	empty := t.TempDir()
	for _, c := range []struct {
		name   string
		args   []string
		stdin  string
		code   int
		stdout []string
		stderr string
		absent string // of the standard output
	}{
		{name: "top", args: []string{a, "-top"}, stdout: []string{"Type: limbo", "4.50s total", "[phase] rcu_gp", "bpf_map_update_value"}},
		{name: "groups", args: []string{a, "-traces"}, stdout: []string{"[kernel] 6.12.117", "[strategy] rcu"}},
		{name: "raw stacks", args: []string{a, "-raw_stacks", "-traces"}, stdout: []string{"[phase] rcu_gp", "bpf_map_update_value"}, absent: "[strategy]"},
		{name: "diff of kernels", args: []string{a, "-diff_base=" + other, "-traces", "-sample_index=rcu_gp"}, absent: "[kernel] ",
			stdout: []string{"[strategy] rcu", "stacks are without the kernel, which differs: 6.12.117 against 6.1.192", "kernel:  6.1.192"}},
		{name: "diff of one kernel", args: []string{a, "-diff_base=" + b, "-traces"}, stdout: []string{"[kernel] 6.12.117"}, absent: "stacks are without"},
		{name: "flags before", args: []string{"-top", "-nodefraction", "0", a}, stdout: []string{"[phase] enqueue"}},
		{name: "deaths", args: []string{"-top", a, "-sample_index=deaths"}, stdout: []string{"Type: deaths", "of 300 total", "300   100%"}},
		{name: "two runs", args: []string{a, b, "-top", "-sample_index=deaths"}, stdout: []string{"of 500 total"}},
		{name: "diff", args: []string{a, "-diff_base=" + b, "-top", "-sample_index=rcu_gp"}, stdout: []string{"-4.50s", "[phase] rcu_gp"}},
		{name: "diff with itself", args: []string{a, "-diff_base", a, "-top", "-sample_index=deaths"}, stdout: []string{"Showing nodes accounting for 0,"}},
		{name: "a file", args: []string{filepath.Join(a, results.ProfileFile), "-top"}, stdout: []string{"Type: limbo"}},
		{name: "tags", args: []string{a, "-tags"}, stdout: []string{"strategy: Total", "6.12.117"}},
		{name: "comments", args: []string{a, "-comments"}, stdout: []string{"kernel: 6.12.117"}},
		{name: "interactive", args: []string{a}, stdin: "top\nquit\n", stdout: []string{"(pprof) ", "[phase] rcu_gp"}},
		{name: "a stranger's", args: []string{evil, "-top"}, stdout: []string{"evil_function"}},
		{name: "a stranger's labels", args: []string{evil, "-tags"}, stdout: []string{"labelred", "size: Total"}},
		{name: "a stranger's comments", args: []string{evil, "-comments"}, stdout: []string{"said"}},
		{name: "a stranger's sources", args: []string{evil, "-list=evil"}, stdout: []string{"evil_function"}},
		{name: "help", args: []string{"--help"}, stdout: []string{"mapprof pprof DIR -top", "-sample_index"}},
		{name: "help after a run", args: []string{a, "-h"}, stdout: []string{"mapprof pprof DIR -top"}},
		{name: "nothing", args: []string{"-top"}, code: exitUsage, stderr: "mapprof: pprof: no run directory given (mapprof pprof DIR -top)\n"},
		{name: "unknown flag", args: []string{a, "-nonsense"}, code: exitUsage,
			stderr: "mapprof: pprof: flag provided but not defined: -nonsense (see mapprof pprof --help)\n"},
		{name: "no directory", args: []string{"/does/not/exist", "-top"}, code: exitFailure,
			stderr: "mapprof: open run /does/not/exist: no such directory\n"},
		{name: "no run", args: []string{empty, "-top"}, code: exitFailure,
			stderr: "mapprof: open run " + empty + ": not a run directory (it has no run.json)\n"},
		{name: "base is no run", args: []string{a, "-top", "-base", empty}, code: exitFailure,
			stderr: "mapprof: open run " + empty + ": not a run directory (it has no run.json)\n"},
		{name: "no profile", args: []string{noProfile, "-top"}, code: exitFailure,
			stderr: "mapprof: open profile " + filepath.Join(noProfile, results.ProfileFile) + ": file does not exist (the run ended before any death was seen)\n"},
		{name: "damaged", args: []string{damaged, "-top"}, code: exitFailure,
			stderr: "mapprof: read " + filepath.Join(damaged, results.ProfileFile) + ": read profile: unexpected EOF (the file is damaged or truncated)\n"},
		{name: "two formats", args: []string{a, "-top", "-tags"}, code: exitFailure, stderr: "mapprof: pprof: must set at most one output format\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			home := t.TempDir()
			cmd := exec.Command(os.Args[0], "-test.run=^TestPprofProcess$")
			cmd.Env = []string{"HOME=" + home, "GOCOVERDIR=" + t.TempDir(), "PATH=/nonexistent", pprofProcess + "=" + strings.Join(c.args, "\n")}
			var stdout, stderr bytes.Buffer
			cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(c.stdin), &stdout, &stderr
			err := cmd.Run()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if got := cmd.ProcessState.ExitCode(); got != c.code {
				t.Errorf("exit code %d, want %d", got, c.code)
			}
			if all := stdout.String() + stderr.String(); strings.ContainsAny(all, "\x1b\u009b\a") || strings.Contains(all, secret) {
				t.Errorf("a stranger's profile has an effect: %q", all)
			}
			if c.absent != "" && strings.Contains(stdout.String(), c.absent) {
				t.Errorf("%q in\n%s", c.absent, stdout.String())
			}
			for _, want := range c.stdout {
				if !strings.Contains(stdout.String(), want) {
					t.Errorf("no %q in\n%s", want, stdout.String())
				}
			}
			if c.stderr != "" && stderr.String() != c.stderr {
				t.Errorf("standard error %q\nwant %q", stderr.String(), c.stderr)
			}
			if c.code == 0 && c.stdin == "" && stderr.Len() > 0 {
				t.Errorf("standard error %q", stderr.String())
			}
			if left, err := os.ReadDir(home); err != nil || len(left) > 0 {
				t.Errorf("left in HOME: %v %v", left, err)
			}
		})
	}
}
