// SPDX-License-Identifier: Apache-2.0

package export

import (
	"bytes"
	"encoding/csv"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/perf/benchfmt"

	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/results/inventory"
)

// exportDir writes a run with histograms and two trials.
func exportDir(t *testing.T, run *results.Run) *results.Dir {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	w, err := results.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, s := range run.Scenarios {
		for _, tr := range s.Trials {
			h := results.NewHistogram()
			for i := range int64(100) {
				if err := h.RecordValue(1000 * (i + 1)); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Histogram(results.Tag(s.ID, tr.Index, "limbo"), h, time.Unix(1000, 0), time.Unix(1001, 0)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Finish(run); err != nil {
		t.Fatal(err)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func export(t *testing.T, format string, d *results.Dir) string {
	t.Helper()
	e, err := Find(format)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := e.Write(d, &b); err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	return b.String()
}

// evil is a run whose names come from somebody who means harm.
func evil(t *testing.T) *results.Run {
	run := synthetic.Seeded(2, 0, 1, results.ClockICount, 1)
	run.Targets[0].Kernel.Release = "6.12\"\\\n\x1b[31m"
	s := &run.Scenarios[0]
	s.Kernel = "6.12\"\\\n\x1b[31m"
	s.Workload = "=cmd()"
	s.Strategy.Requested = "a b/c=d"
	s.Phases = map[string]results.Stats{}
	for name, p := range s.Trials[0].Phases { // the trials are alike
		p.N, p.SumNS = 2*p.N, 2*p.SumNS
		s.Phases[name] = p
	}
	s.Loss = map[string]uint64{"ring\"full": 2}
	for i := range s.Trials { // of a recording, too: outer maps' ids are each trial's own
		s.Trials[i].Owners = []results.OwnerSum{
			{OuterID: uint32(7 + i), OuterName: "pid\x1b[2J", Creator: "a\"gent", Container: "c1", Path: "tasks_trace", PinnedBy: []string{"p of x", "q"},
				Deaths: 3, Bytes: 300, Limbo: results.Stats{N: 3, P50NS: 2e9, P90NS: 2e9, P99NS: 2e9, MinNS: 2e9, MaxNS: 2e9, MeanNS: 2e9, SumNS: 6e9}},
			{Others: true, Deaths: 1, Bytes: 8, Limbo: results.Stats{N: 1, P50NS: 5, P90NS: 5, P99NS: 5, MinNS: 5, MaxNS: 5, MeanNS: 5, SumNS: 5}},
		}
		held := inventory.Held{LiveMaps: 3, LiveBytes: 30}
		s.Trials[i].Live = &inventory.Live{End: &inventory.Maps{Held: held, Others: inventory.Sum{Maps: 3, Bytes: 30},
			Holders: []inventory.HolderSum{{Kind: inventory.FD, Name: "a\"gent", Maps: 2, Bytes: 20}, {Kind: inventory.None, Maps: 1, Bytes: 10}}}}
		s.Trials[i].Stuck = []results.Stuck{{MapType: "hash", Phase: results.PhaseRCUGP, PutNS: 1, SeenNS: 2}}
		s.Trials[i].DeathsNotKept = 2
	}
	run.Started, run.Ended = time.Unix(1795639000, 0), time.Unix(1795639060, 500e6)
	return run
}

func TestExportBenchfmt(t *testing.T) {
	text := export(t, "benchfmt", exportDir(t, evil(t)))
	r := benchfmt.NewReader(strings.NewReader(text), "x")
	lines := 0
	for r.Scan() {
		switch rec := r.Result().(type) {
		case *benchfmt.SyntaxError:
			t.Errorf("%v", rec)
		case *benchfmt.Result:
			lines++
			// Keys that aren't of the file would be lost.
			if rec.GetConfig("clock") != "icount" || rec.GetConfig("target") != "vm" || rec.GetConfig("workload") != "=cmd()" ||
				rec.GetConfig("kernel") != `6.12"\ ` || rec.GetConfig("date") != "2026-11-25T20:36:40Z" {
				t.Errorf("config %v", rec.Config)
			}
			if strings.HasSuffix(rec.Name.String(), "/phase=limbo") {
				if v, ok := rec.Value("p50-sec"); !ok || v < 0.0119 || v > 0.0121 || rec.Iters != 100 {
					t.Errorf("%v", rec)
				}
			}
		}
	}
	if err := r.Err(); err != nil || lines != 2*7 {
		t.Errorf("%d lines, %v:\n%s", lines, err, text)
	}
	if !strings.Contains(text, "Benchmark=cmd()/strategy=a_b_c_d") && !strings.Contains(text, "Benchmark_cmd()/strategy=a_b_c_d/phase=limbo 100 ") {
		t.Errorf("%s", text)
	}
}

// benchstat itself reads what is written: two files side by side, and runs of two
// kernels in one file, split by it.
func TestBenchstatReadsExport(t *testing.T) {
	benchstat := filepath.Join(t.TempDir(), "benchstat")
	if out, err := exec.Command("go", "build", "-o", benchstat, "golang.org/x/perf/cmd/benchstat").CombinedOutput(); err != nil {
		t.Fatalf("build benchstat: %v\n%s", err, out)
	}
	dir := t.TempDir()
	all := ""
	for i, name := range []string{"before.txt", "after.txt"} {
		run := synthetic.Seeded(8, 0.001, 1+0.5*float64(i), results.ClockWall, uint64(i))
		run.Scenarios[0].Kernel = []string{"6.12.1", "6.12.2"}[i]
		run.Tool.Version = []string{"v0.9.0", "v0.10.0"}[i]
		run.Started = time.Unix(1795639000+int64(i)*3600, 0)
		text := export(t, "benchfmt", exportDir(t, run))
		all += text
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "all.txt"), []byte(all), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args    string
		columns []string
	}{
		{"-ignore kernel,version,date before.txt after.txt", []string{"before.txt", "after.txt"}},
		{"-col kernel -ignore version,date all.txt", []string{"6.12.1", "6.12.2"}},
		{"-col version -ignore kernel,date all.txt", []string{"v0.9.0", "v0.10.0"}},
		{"-col date -ignore kernel,version all.txt", []string{"2026-11-25T20:36:40Z", "2026-11-25T21:36:40Z"}},
	} {
		cmd := exec.Command(benchstat, strings.Fields(c.args)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", c.args, err, out)
		}
		for _, want := range append(c.columns, "p50-sec", "clock: wall", "workload: synthetic", "Synthetic/strategy=rcu/phase=limbo", "p=0.000 n=8", "+50.", "byte-seconds", "mean-instructions/op") {
			if !strings.Contains(string(out), want) {
				t.Errorf("benchstat %s lacks %q:\n%s", c.args, want, out)
			}
		}
	}
}

func TestExportCSV(t *testing.T) {
	rows, err := csv.NewReader(strings.NewReader(export(t, "csv", exportDir(t, evil(t))))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1+2*35 {
		t.Errorf("%d rows", len(rows))
	}
	if got := strings.Join(rows[1], "|"); !strings.HasPrefix(got, `synthetic|'=cmd()|6.12"\ |a b/c=d|rcu|icount|0|rcu_gp/p50|ns|119`) {
		t.Error(got)
	}
}

func TestExportHlog(t *testing.T) {
	d := exportDir(t, synthetic.Seeded(3, 0, 1, results.ClockWall, 1))
	r := hdrhistogram.NewHistogramLogReader(strings.NewReader(export(t, "hlog", d)))
	n := 0
	for {
		h, err := r.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if h == nil {
			break
		}
		n++
		if h.TotalCount() != 100 || h.ValueAtPercentile(50) < 50000 || h.ValueAtPercentile(50) > 50100 || !strings.HasSuffix(h.Tag(), "/limbo") {
			t.Errorf("%s: %d values, p50 %d", h.Tag(), h.TotalCount(), h.ValueAtPercentile(50))
		}
	}
	if n != 3 {
		t.Errorf("%d histograms", n)
	}
	path := filepath.Join(d.Path, results.HistogramsFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data[:len(data)-40], 0o644); err != nil {
		t.Fatal(err)
	}
	e, _ := Find("hlog")
	var b bytes.Buffer
	if err := e.Write(d, &b); err == nil || b.Len() > 0 {
		t.Errorf("a truncated log is exported: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := e.Write(d, &b); err == nil {
		t.Error("a log that isn't there is exported")
	}
}

func TestLookupExport(t *testing.T) {
	var names []string
	for _, e := range All() {
		names = append(names, e.Name)
	}
	for _, want := range []string{"benchfmt", "csv", "github-action-benchmark", "hlog", "openmetrics", "prometheus"} {
		if _, err := Find(want); err != nil {
			t.Error(err)
		}
	}
	_, err := Find("punchcards")
	var unknown *UnknownError
	if !errors.As(err, &unknown) || !strings.Contains(err.Error(), strings.Join(names, ", ")) {
		t.Error(err)
	}
}
