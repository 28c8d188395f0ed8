// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/gate"
	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// runsSaved gives every run a time of its own.
var runsSaved atomic.Int64

// saveRun writes a made-up run whose figures are factor times what they should
// be.
func saveRun(t *testing.T, dir string, factor float64, change func(*results.Run)) string {
	t.Helper()
	run := synthetic.Run(3, 0.0001, factor, results.ClockICount, rand.New(rand.NewPCG(uint64(1000*factor), 1)))
	run.Started = time.Unix(runsSaved.Add(1), 0)
	run.Ended = run.Started.Add(time.Second)
	if change != nil {
		change(run)
	}
	w, err := results.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := w.Finish(run); err != nil {
		t.Fatal(err)
	}
	return dir
}

// damage makes a run directory of which run.json is what f makes of a good one.
func damage(t *testing.T, dir string, f func([]byte) []byte) string {
	t.Helper()
	saveRun(t, dir, 1, nil)
	path := filepath.Join(dir, results.RunFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, f(data), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestGateExitCodes runs the program itself.
func TestGateExitCodes(t *testing.T) {
	work := t.TempDir()
	binary := builtMapprof(t)
	in := func(name string) string { return filepath.Join(work, name) }
	saveRun(t, in("base"), 1, nil)
	saveRun(t, in("same"), 1.0001, nil)
	saveRun(t, in("slow"), 1.01, nil)
	saveRun(t, in("partial"), 1.02, func(r *results.Run) { r.Partial, r.PartialReason = true, "interrupted" })
	saveRun(t, in("lossy"), 1.0002, func(r *results.Run) { r.Scenarios[0].Trials[0].Loss = map[string]uint64{"ring_full": 50} })
	saveRun(t, in("wall"), 1.0003, func(r *results.Run) { r.Targets[0].Clock = "wall" })
	saveRun(t, in("few"), 1.0004, func(r *results.Run) {
		r.Scenarios = synthetic.Run(1, 0.0001, 1, results.ClockICount, rand.New(rand.NewPCG(1, 1))).Scenarios
	})
	saveRun(t, in("fewer"), 1.0005, func(r *results.Run) { r.Scenarios[0].Trials = r.Scenarios[0].Trials[:2] })
	if err := os.Mkdir(in("empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	damage(t, in("nothing"), func([]byte) []byte { return nil })
	damage(t, in("truncated"), func(b []byte) []byte { return b[:len(b)/2] })
	damage(t, in("corrupt"), func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`"trials"`), []byte(`"trials`)) })
	damage(t, in("newer"), func(b []byte) []byte {
		return bytes.Replace(b, []byte(`"schema_version": 2`), []byte(`"schema_version": 99`), 1)
	})
	damage(t, in("nan"), func(b []byte) []byte {
		return bytes.Replace(b, []byte(`"peak_bytes": 784`), []byte(`"peak_bytes": NaN`), 1)
	})
	damage(t, in("nan-text"), func(b []byte) []byte {
		return bytes.Replace(b, []byte(`"peak_bytes": 784`), []byte(`"peak_bytes": "NaN"`), 1)
	})
	damage(t, in("huge"), func(b []byte) []byte { return bytes.Replace(b, []byte(`"p50": 3`), []byte(`"p50": 1e999, "x": 3`), 1) })
	damage(t, in("negative"), func(b []byte) []byte {
		return bytes.Replace(b, []byte(`"byte_seconds": 1`), []byte(`"byte_seconds": -1`), 1)
	})
	write := func(name, text string) {
		if err := os.WriteFile(in(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("bad.yaml", "version: 1\ntreshold: 5%\n")
	write("advise.yaml", "version: 1\nrules: [{metrics: ['**'], action: advise}]\n")
	for _, c := range []struct {
		args string
		code int
		want string // in either output
	}{
		{"gate --baseline base --candidate same", 0, "PASS: 19 blocking metrics shown to be within limits"},
		{"gate --baseline base --candidate slow", 3, "REGRESSION: 4 of 19 blocking metrics got worse"},
		{"gate --baseline slow --candidate base", 0, "improvement"},
		{"gate --baseline base --candidate slow --policy advise.yaml", 0, "33 metrics that only advise got worse"},
		{"gate --baseline base --candidate base", 4, "held against itself"},
		{"gate --baseline base --candidate partial", 4, "partial: the run is partial: interrupted"},
		{"gate --baseline base --candidate lossy", 4, "lossy: synthetic lost 50 of 300"},
		{"gate --baseline base --candidate wall", 4, "clock icount against wall"},
		{"gate --baseline base --candidate few", 4, "3 on each side would be enough"},
		{"gate --baseline base --candidate fewer", 4, "fewer/run.json: scenarios[0].metrics.lookup.syscall.n: 15000, and its trials have 10000"},
		{"gate --baseline base --candidate nowhere", 4, "open run nowhere: no such directory"},
		{"gate --baseline base --candidate empty", 4, "open run empty: not a run directory"},
		{"gate --baseline base --candidate nothing", 4, "nothing/run.json: unexpected end of JSON input"},
		{"gate --baseline base --candidate truncated", 4, "truncated/run.json: unexpected end of JSON input"},
		{"gate --baseline base --candidate corrupt", 4, "corrupt/run.json: invalid character"},
		{"gate --baseline base --candidate newer", 4, "open run newer: run.json has schema version 99"},
		{"gate --baseline base --candidate nan", 4, "nan/run.json: invalid character 'N'"},
		{"gate --baseline base --candidate nan-text", 4, "nan-text/run.json: json: cannot unmarshal"},
		{"gate --baseline base --candidate huge", 4, "huge/run.json: json: cannot unmarshal number 1e999"},
		{"gate --baseline base --candidate negative", 4, "negative/run.json: scenarios[0].trials[0].limbo.byte_seconds: -1"},
		{"gate --baseline truncated --candidate base", 4, "truncated/run.json: unexpected end of JSON input"},
		{"gate --baseline base --candidate slow --confirm truncated", 4, "truncated/run.json"},
		{"gate --baseline base --candidate same --junit no/such/file.xml", 1, "no/such"},
		{"gate --baseline base --candidate slow --junit no/such/file.xml", 1, "no/such"},
		{"gate --baseline base --candidate same --policy bad.yaml", 2, "field treshold not found"},
		{"gate --baseline base --candidate same --policy none.yaml", 2, "read policy: open none.yaml"},
		{"gate --print-policy --policy advise.yaml", 0, "rules: - metrics: ['**'] relative: 0% action: advise"},
		{"gate --print-policy --policy bad.yaml", 2, "field treshold not found"},
		{"gate base --by kernel --baseline-kernel 6.12", 4, "the run has no kernel 6.12: base has synthetic"},
		{"gate base --by kernel --baseline-kernel synthetic", 4, "two of a kernel can be judged in one run: base has synthetic"},
		{"gate base --by kernel", 2, "one run is judged by RUN --by kernel --baseline-kernel NAME"},
		{"gate base --by workload --baseline-kernel 6.12", 2, "one run is judged by"},
		{"gate base --candidate same --by kernel --baseline-kernel 6.12", 2, "one run is judged by"},
		{"gate nowhere --by strategy --baseline-strategy rcu", 4, "open run nowhere: no such directory"},
		{"gate --baseline base", 2, "gate needs --baseline DIR and --candidate DIR"},
		{"gate --baseline base --candidate same --format xml", 2, `--format "xml"`},
		{"gate --baseline base --candidate same --pairs 3", 2, "--pairs is for --self-test"},
		{"gate --self-test --baseline base", 2, "leave out --baseline"},
		{"gate --self-test --baseline-kernel 6.12", 2, "leave out --baseline-kernel"},
		{"gate --self-test --print-policy", 2, "leave out --print-policy"},
		{"gate --self-test --simulate 0", 2, "--simulate must be from 1 to 1000000"},
		{"gate --self-test --simulate 2 --minutes 1", 2, "--minutes means nothing with --simulate"},
		{"gate --self-test --simulate 2 --no-vm", 2, "--no-vm means nothing with --simulate"},
		{"gate --self-test --no-vm --minutes 1", 2, "--minutes means nothing with --no-vm"},
		{"gate --self-test --no-vm --kernel 6.12", 2, "--kernel means nothing with --no-vm"},
		{"gate --self-test --no-vm --synthetic 20", 0, "synthetic pairs false positives 0 of 20 (0.0%; 0.0–16.8%), detected 20 of 20 (100.0%; 83.2–100.0%)"},
		{"gate --self-test --no-vm --synthetic 20 --policy advise.yaml", 1, "did not say what it should"},
		{"gate --self-test --kernel no-such/bzImage --synthetic 5 --offline", 4, "INCONCLUSIVE: the self-test did not end"},
		{"compare base slow", 0, "B against A: 33 worse"},
		{"compare base wall", 1, "not comparable: clock icount against wall"},
		{"compare base wall --force", 0, "NOT COMPARABLE"},
		{"compare base truncated", 1, "truncated/run.json"},
		{"compare base newer", 1, "schema version 99"},
		{"compare base negative", 1, "negative/run.json: scenarios[0].trials[0].limbo.byte_seconds: -1"},
		{"compare base", 1, "no two scenarios differ only in their strategy"},
		{"compare", 2, "compare needs run directories"},
		{"compare base slow --by colour", 2, `--by "colour"`},
		{"compare base --by run", 2, "--by run needs two"},
		{"compare base slow --pprof d.pb.gz", 1, "open profile base/profile.pb.gz: file does not exist"},
		{"export base --format benchfmt", 0, "BenchmarkSynthetic/strategy=rcu/phase=limbo"},
		{"export base --format punchcards", 2, "unknown export format"},
		{"export base", 2, "--format: unknown export format"},
		{"export truncated --format csv", 1, "truncated/run.json"},
		{"export base --format hlog", 1, "this run has no histograms"},
	} {
		cmd := exec.Command(binary, strings.Fields(c.args)...)
		cmd.Dir = work
		cmd.Env = append(os.Environ(), "GITHUB_ACTIONS=", "GITHUB_STEP_SUMMARY=", "MAPPROF_CACHE="+in("cache"))
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != c.code || !strings.Contains(strings.Join(strings.Fields(string(out)), " "), c.want) {
			t.Errorf("%s: exit code %d, want %d and %q:\n%s", c.args, got, c.code, c.want, out)
		}
	}
}

func TestGateOutputs(t *testing.T) {
	t.Chdir(t.TempDir())
	saveRun(t, "base", 1, nil)
	saveRun(t, "slow", 1.01, nil)
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("GITHUB_STEP_SUMMARY", "summary.md")
	if err := os.WriteFile("summary.md", []byte("before\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := mapprof(t, "gate", "--baseline", "base", "--candidate", "slow", "--junit", "gate.xml", "--format", "json")
	if code != exitRegression {
		t.Errorf("exit code %d", code)
	}
	var v gate.Verdict
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || v.Verdict != gate.VerdictRegression {
		t.Errorf("%v %s", err, stdout)
	}
	if strings.Count(stderr, "::error title=") != 4 {
		t.Errorf("annotations: %s", stderr)
	}
	summary, err := os.ReadFile("summary.md")
	if err != nil || !strings.HasPrefix(string(summary), "before\n## ❌ mapprof gate: REGRESSION") {
		t.Errorf("%v %s", err, summary)
	}
	junit, err := os.ReadFile("gate.xml")
	if err != nil || xml.Unmarshal(junit, new(struct{})) != nil || !strings.Contains(string(junit), `failures="4"`) {
		t.Errorf("%v %s", err, junit)
	}
	for format, want := range map[string]string{"markdown": "## ❌ mapprof gate", "csv": "verdict,group,metric", "table": "REGRESSION: "} {
		if _, stdout, _ := mapprof(t, "gate", "--baseline", "base", "--candidate", "slow", "--format", format); !strings.HasPrefix(stdout, want) {
			t.Errorf("%s: %s", format, stdout)
		}
		want = map[string]string{"table": "B against A: 33 worse", "markdown": "**B against A", "csv": "group,metric"}[format]
		if _, stdout, _ := mapprof(t, "compare", "base", "slow", "--format", format); !strings.HasPrefix(stdout, want) {
			t.Errorf("compare, %s: %s", format, stdout)
		}
	}
	// What can't be read is told to GitHub too.
	if code, _, stderr := mapprof(t, "gate", "--baseline", "base", "--candidate", "nowhere"); code != exitInconclusive || !strings.Contains(stderr, "::error title=mapprof gate is inconclusive::open run nowhere") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestExportToFile(t *testing.T) {
	t.Chdir(t.TempDir())
	saveRun(t, "run", 1, nil)
	code, stdout, stderr := mapprof(t, "export", "run", "--format", "openmetrics", "-o", "run.om")
	data, err := os.ReadFile("run.om")
	if code != exitOK || stdout != "" || err != nil || !strings.HasSuffix(string(data), "# EOF\n") {
		t.Errorf("exit code %d: %s %v", code, stderr, err)
	}
}

// A comparison reads no deaths: a million of them on each side cost nothing.
func TestCompareAMillionDeaths(t *testing.T) {
	const deaths, trials = 1_000_000, 10
	work := t.TempDir()
	first := filepath.Join(work, "a")
	run := synthetic.Run(trials, 0.0001, 1, results.ClockICount, rand.New(rand.NewPCG(1, 1)))
	for i := range run.Scenarios[0].Trials {
		tr := &run.Scenarios[0].Trials[i]
		tr.Puts, tr.Freed, tr.Expected = deaths/trials, deaths/trials, deaths/trials
		for phase, s := range tr.Phases {
			s.N, s.SumNS = deaths/trials, int64(s.MeanNS*deaths/trials)
			tr.Phases[phase] = s
		}
		for j := range analyze.MaxTimelinePoints {
			tr.Timeline = append(tr.Timeline, results.LimboPoint{AtNS: int64(j) * 1e6, Bytes: uint64(j) * 784, Maps: uint64(j)})
		}
	}
	w, err := results.Create(first)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	before := cpuTime(t)
	b := profile.NewBuilder()
	d := results.Death{Scenario: "synthetic", Path: "rcu", MapType: "Array", MapName: "mp_inner", MemBytes: 392, Comm: "mapprof", Stack: "s"}
	for i := range int64(deaths) {
		d.Trial, d.MapID = int(i%trials), uint32(i)
		d.PutNS = i * 12_000_000
		d.EnqueueNS, d.RCUEnqueueNS = d.PutNS+582, d.PutNS+582
		d.RCUEndNS = d.PutNS + 11_900_000 + i%1000
		d.FreeNS, d.FreedNS = d.RCUEndNS+6000, d.RCUEndNS+7000
		if err := errors.Join(w.Death(&d), b.Add(&d)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := b.Build(nil, profile.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	var gz bytes.Buffer
	if err := profile.Write(&gz, p); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Profile(gz.Bytes()), w.Finish(run)); err != nil {
		t.Fatal(err)
	}
	wrote := cpuTime(t) - before
	second := filepath.Join(work, "b")
	if err := os.CopyFS(second, os.DirFS(first)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(builtMapprof(t), "compare", first, second, "--pprof", filepath.Join(work, "d.pb.gz"))
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &stderr
	peak, err := runForPeak(t, cmd)
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	took := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	t.Logf("two runs with a million deaths each: %v of CPU time, %d MB; one took %v to write", took, peak/1e6, wrote)
	if took > wrote || peak > 200e6 {
		t.Errorf("%v of CPU time and %d MB; what one took to write, %v, and 200 MB are the limit", took, peak/1e6, wrote)
	}
}

// cpuTime is what this process has used of the CPUs.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
