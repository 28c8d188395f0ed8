// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mapprof/mapprof/results"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (-update rewrites it); got:\n%s", path, got)
	}
}

func stats(n uint64, p50, p90, p99, most, sum int64) results.Stats {
	return results.Stats{N: n, P50NS: p50, P90NS: p90, P99NS: p99, MinNS: p50 / 2, MaxNS: most, SumNS: sum, MeanNS: float64(sum) / float64(max(n, 1))}
}

const (
	us = 1_000
	ms = 1_000_000
	s  = 1_000_000_000
)

func scenario(kernel, requested, observed, path string, phases map[string]results.Stats) results.Scenario {
	n := phases["limbo"].N
	sc := results.Scenario{
		ID: "churn-" + kernel + "-" + requested, Workload: "churn", Loop: "closed", Kernel: kernel,
		Params:   map[string]string{"outer": "array-of-maps", "inner": "array", "count": "300"},
		Strategy: results.Strategy{Requested: requested, Observed: observed, Paths: map[string]uint64{}},
		Phases:   phases,
		Limbo:    results.Limbo{PeakBytes: 12_800, PeakMaps: 16, ByteSeconds: 3532.4},
		Loss:     map[string]uint64{"ring_full": 0},
		Trials:   []results.Trial{{Index: 0, Puts: n, Freed: n, Expected: n, Phases: phases, Excluded: map[string]uint64{"own maps": 12}}},
	}
	if n > 0 {
		sc.Strategy.Paths[path] = n
	}
	return sc
}

func rcu(kernel string) results.Scenario {
	return scenario(kernel, "rcu", "rcu", "rcu", map[string]results.Stats{
		"enqueue":     stats(300, 1_210, 2_050, 9_990, 31_400, 412_000),
		"rcu_gp":      stats(300, 14_400*us, 19_600*us, 22_800*us, 23_900*us, 4_320*ms),
		"queue":       stats(300, 121*us, 402*us, 999_600, 1_230*us, 48*ms),
		"free":        stats(300, 9_870, 14_200, 41_000, 99_950, 3_200*us),
		"limbo":       stats(300, 14_600*us, 19_900*us, 23*ms, 24_100*us, 4_371_612*us),
		"update_wait": stats(300, 15_500*us, 21*ms, 44*ms, 47_900*us, 4_650*ms),
		"op":          stats(300, 15_600*us, 21*ms, 44*ms, 48*ms, 4_680*ms),
	})
}

func tasksTrace(kernel string) results.Scenario {
	sc := scenario(kernel, "tasks-trace", "tasks-trace", "tasks-trace", map[string]results.Stats{
		"enqueue":        stats(300, 1_180, 2_010, 9_100, 29_400, 402_000),
		"tasks_trace_gp": stats(300, 158*ms, 242*ms, 295*ms, 311*ms, 47_000*ms),
		"queue":          stats(300, 118*us, 392*us, 801*us, 1_030*us, 46*ms),
		"free":           stats(300, 9_770, 14_100, 40_000, 98_000, 3_100*us),
		"limbo":          stats(300, 160*ms, 244*ms, 298*ms, 313*ms, 47_049_502*us),
		"update_wait":    stats(300, 15_200*us, 20*ms, 43*ms, 47_100*us, 4_610*ms),
		"op":             stats(300, 15_300*us, 20*ms, 43*ms, 47_300*us, 4_640*ms),
	})
	sc.Limbo = results.Limbo{PeakBytes: 150 << 10, PeakMaps: 187, ByteSeconds: 38_021.5}
	return sc
}

func immediate(kernel string) results.Scenario {
	return scenario(kernel, "immediate", "immediate", "immediate", map[string]results.Stats{
		"queue": stats(300, 25*us, 88*us, 301*us, 1_200*us, 9*ms),
		"free":  stats(300, 9_000, 13_000, 38_000, 90_000, 3*ms),
		"limbo": stats(300, 35_200, 99*us, 330*us, 1_290*us, 12*ms),
		"op":    stats(300, 41*us, 60*us, 99*us, 1*ms, 13*ms),
	})
}

func syncFree(kernel string) results.Scenario {
	return scenario(kernel, "sync", "sync", "rcu+sync", map[string]results.Stats{
		"enqueue": stats(300, 1_210, 2_050, 9_990, 31_400, 412_000),
		"rcu_gp":  stats(300, 14*ms, 19*ms, 22*ms, 23*ms, 4_200*ms),
		"queue":   stats(300, 121*us, 402*us, 801*us, 1_230*us, 48*ms),
		"free":    stats(300, 15*ms, 20*ms, 25*ms, 29*ms, 4_500*ms),
		"limbo":   stats(300, 29*ms, 39*ms, 45*ms, 51*ms, 8_748_412*us),
	})
}

// lookups is a scenario in which nothing is freed.
func lookups(kernel, unit string) results.Scenario {
	cost := func(p50 float64, how string) results.Metric {
		return results.Metric{N: 97, Unit: unit + "/op", P50: p50, P90: p50 * 1.1, P99: p50 * 2, Min: p50 / 2, Max: p50 * 3, Mean: p50 * 1.2, How: how}
	}
	metrics := map[string]results.Metric{
		"lookup.inlined":          cost(2.64, "in BPF"),
		"lookup.helper":           cost(27, "in BPF"),
		"lookup.syscall":          cost(2780, "batches of 16 calls"),
		"lookup.helper.function":  cost(225, "fentry and fexit of array_map_lookup_elem"),
		"lookup.syscall.function": cost(253, "fentry and fexit of array_map_lookup_elem"),
		"probe.helper":            cost(579, "with the probe, less the median without"),
		"probe.syscall":           cost(877, "with the probe, less the median without"),
	}
	return results.Scenario{
		ID: "lookup/" + kernel + "/none", Workload: "lookup", Loop: "closed", Kernel: kernel,
		Params: map[string]string{"map": "array", "count": "100000"}, Strategy: results.Strategy{Requested: "none", Paths: map[string]uint64{}},
		Phases: map[string]results.Stats{}, Metrics: metrics, Loss: map[string]uint64{},
		Trials: []results.Trial{{Ops: 300_000, Phases: map[string]results.Stats{}, Metrics: metrics}},
	}
}

// interruptedLookups were ended before the first figure.
func interruptedLookups() *results.Run {
	sc := lookups(k612, "ns")
	sc.Metrics, sc.Trials[0].Metrics = nil, nil
	run := newRun(sc)
	run.Partial, run.PartialReason = true, "interrupted"
	return run
}

func newRun(scenarios ...results.Scenario) *results.Run {
	run := &results.Run{SchemaVersion: 1, Warnings: []string{}}
	for _, sc := range scenarios {
		ix := -1
		for i, t := range run.Targets {
			if t.Kernel.Release == sc.Kernel {
				ix = i
			}
		}
		if ix < 0 {
			ix = len(run.Targets)
			run.Targets = append(run.Targets, results.Target{Kind: "vm", Accel: "tcg", Clock: "wall", CPUs: 2, MemoryBytes: 2 << 30,
				Kernel: results.Kernel{Release: sc.Kernel, Build: "#1 SMP PREEMPT_DYNAMIC Debian"}})
		}
		sc.TargetIx = ix
		run.Scenarios = append(run.Scenarios, sc)
	}
	run.Target = run.Targets[0]
	run.SumLoss()
	return run
}

const k612 = "6.12.117+deb12-cloud-amd64"

func TestWriteTable(t *testing.T) {
	mismatch := tasksTrace("6.1.0-192-cloud-amd64")
	mismatch.ID, mismatch.Strategy.Requested = "churn-6.1-rcu", "rcu"
	mismatch.Strategy.Paths = map[string]uint64{"tasks-trace+rcu": 300}
	mismatch.Phases["rcu_gp"] = stats(300, 13_900*us, 18*ms, 21*ms, 22*ms, 4_100*ms)
	mismatch.Phases["tasks_trace_gp"] = stats(300, 144*ms, 224*ms, 275*ms, 291*ms, 42_900*ms)

	lossy := rcu(k612)
	lossy.Loss = map[string]uint64{"ring_full": 3, "table_full": 0}
	lossy.Trials[0].Loss = lossy.Loss
	lossy.Trials[0].Puts, lossy.Trials[0].Lost, lossy.Trials[0].InFlight = 305, 3, 2
	lossy.Trials[0].Pending = &results.Pending{N: 2, MinNS: 1_200 * ms, MaxNS: 3 * s}
	lossy.Trials[0].Warnings = []string{"the guest's clock jumped"}
	partial := newRun(lossy)
	partial.Partial, partial.PartialReason = true, "interrupted after 1 of 3 trials"
	partial.Warnings = []string{"no KVM here: the kernel ran under software emulation, where times are longer than on hardware"}

	empty := scenario(k612, "rcu", "", "rcu", map[string]results.Stats{"limbo": {}, "update_wait": {}})

	unbalanced := rcu(k612)
	unbalanced.Trials[0].Freed--
	unbalanced.Metrics = map[string]results.Metric{
		"lookup cost": {N: 1000, Unit: "ns/op", P50: 31.25, P90: 40, P99: 99, Max: 1234},
		"zeroing":     {N: 0, Unit: "bytes"},
		"probe cost":  {N: 5, Unit: "instructions/op", P50: 387.2, P90: 388, P99: 390, Max: 1000},
	}

	mixed := tasksTrace(k612)
	mixed.Strategy.Paths = map[string]uint64{"tasks-trace": 290, "immediate": 10}
	mixed.Phases["enqueue"] = stats(290, 1_180, 2_010, 9_100, 29_400, 402_000)

	evil := rcu(k612)
	evil.ID, evil.Workload = "evil", "churn\x1b[2J"
	evil.Kernel = "6.12\x1b]0;owned\x07\nfake"
	evil.Strategy.Requested = "r\u202ecu"
	evil.Params = map[string]string{"map\x1b[31m": "<b>\u009b1m"}
	evil.Loss = map[string]uint64{"ring\x1b[0mfull": 1}
	evil.Trials[0].Loss = evil.Loss
	evil.Trials[0].Warnings = []string{"line one\nline two\x07"}

	for _, c := range []struct {
		name string
		run  *results.Run
		o    Options
	}{
		{"two_strategies_100", newRun(rcu(k612), tasksTrace(k612)), Options{Dir: "mapprof-20260504-030201"}},
		{"two_strategies_80", newRun(rcu(k612), tasksTrace(k612)), Options{Width: 80, Dir: "/tmp/two words/it's"}},
		{"two_strategies_60", newRun(rcu(k612), tasksTrace(k612)), Options{Width: 60}},
		{"two_strategies_color", newRun(rcu(k612), tasksTrace(k612)), Options{Color: true}},
		{"four_strategies_100", newRun(immediate(k612), rcu(k612), tasksTrace(k612), syncFree(k612)), Options{}},
		{"four_strategies_200", newRun(immediate(k612), rcu(k612), tasksTrace(k612), syncFree(k612)), Options{Width: 200}},
		{"one_strategy", newRun(rcu(k612)), Options{}},
		{"two_kernels_mismatch", newRun(mismatch, rcu(k612), tasksTrace(k612)), Options{}},
		{"partial_loss_pending", partial, Options{}},
		{"empty", newRun(empty), Options{}},
		{"unbalanced_metrics", newRun(unbalanced), Options{}},
		{"mixed_paths", newRun(rcu(k612), mixed), Options{}},
		{"evil_names", newRun(evil), Options{Dir: "\x1b[2Jdir"}},
		{"no_scenario", &results.Run{}, Options{}},
		{"lookup_two_kernels", newRun(lookups(k612, "ns"), lookups("7.2.12+deb13-cloud-amd64", "ns")), Options{Dir: "run"}},
		{"lookup_instructions_60", newRun(lookups(k612, "instructions")), Options{Width: 60}},
		{"lookup_two_kernels_70", newRun(lookups(k612, "ns"), lookups("7.2.12+deb13-cloud-amd64", "ns")), Options{Width: 70}},
		{"lookup_interrupted", interruptedLookups(), Options{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var buf bytes.Buffer
			if err := WriteTable(&buf, c.run, c.o); err != nil {
				t.Fatal(err)
			}
			checkText(t, buf.String(), c.o)
			golden(t, c.name, buf.Bytes())
		})
	}
}

// checkText finds what must never be printed: control characters, lines that
// don't fit, blanks at the end of a line.
func checkText(t *testing.T, text string, o Options) {
	t.Helper()
	width := o.Width
	if width == 0 {
		width = 100
	}
	for _, r := range text {
		if r < ' ' && r != '\n' && !(o.Color && r == '\x1b') || r >= 0x7f && r < 0xa0 || r == '\u202e' {
			t.Errorf("control character %U", r)
		}
	}
	for _, line := range strings.Split(text, "\n") {
		if !o.Color && utf8.RuneCountInString(line) > width {
			t.Errorf("wider than %d: %q", width, line)
		}
		if strings.HasSuffix(line, " ") {
			t.Errorf("blank at the end of %q", line)
		}
	}
}

func TestWriteJSON(t *testing.T) {
	run := newRun(rcu(k612))
	run.Warnings = []string{"\x1b[2J \u009b1m \x7f é"}
	var buf bytes.Buffer
	if err := WriteJSON(&buf, run); err != nil {
		t.Fatal(err)
	}
	checkText(t, strings.ReplaceAll(buf.String(), "\n", ""), Options{Width: 1 << 20})
	var back results.Run
	if err := json.Unmarshal(buf.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if back.Warnings[0] != run.Warnings[0] || back.Scenarios[0].Phases["limbo"] != run.Scenarios[0].Phases["limbo"] {
		t.Error("what was printed isn't the run")
	}
}

func TestExpeditedWaitsAreSaid(t *testing.T) {
	for n, want := range map[uint64]string{0: "update_wait   ", 12: "update_wait (12 expedited)", 300: "update_wait (expedited)"} {
		s := scenario(k612, "rcu", "", "rcu", map[string]results.Stats{"limbo": stats(300, 1, 2, 3, 4, 5), "update_wait": stats(300, 1, 2, 3, 4, 5)})
		s.Trials[0].Expedited = n
		var text bytes.Buffer
		if err := WriteTable(&text, newRun(s), Options{}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text.String(), want) {
			t.Errorf("%d of 300 expedited, the table doesn't say %q:\n%s", n, want, text.String())
		}
	}
}

// Two kernels of one release each have their table, and their names differ.
func TestTwoKernelsOfOneRelease(t *testing.T) {
	first, second := rcu(k612), rcu(k612)
	first.ID, second.ID = "churn/"+k612+"/rcu", "churn/"+k612+"#2/rcu"
	lookup1, lookup2 := lookups(k612, "ns"), lookups(k612, "ns")
	lookup2.ID = "lookup/" + k612 + "#2/none"
	run := newRun(first, second, lookup1, lookup2)
	var table, page bytes.Buffer
	if err := WriteTable(&table, run, Options{Width: 120}); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(table.String()), " ")
	for _, want := range []string{k612 + ": a freed map stays", k612 + "#2: a freed map stays", k612 + ": a lookup costs", k612 + "#2: a lookup costs"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, &table)
		}
	}
	if err := WriteHTML(&page, []*Loaded{{Name: "run", Run: run}}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(page.String(), k612+"#2") {
		t.Error("the page doesn't name the second kernel")
	}
}

func TestWriteDoctor(t *testing.T) {
	target := &results.Target{Kind: "vm", Accel: "tcg", Clock: "wall", CPUs: 2, MemoryBytes: 1 << 30,
		Kernel: results.Kernel{Release: "7.2.12", Build: "#1 SMP PREEMPT_DYNAMIC Debian 7.2.12-1"},
		Probes: []results.Probe{
			{Name: "last put", Function: "bpf_map_free_id", Mechanism: "fentry", Required: true},
			{Name: "enqueue", Function: "call_rcu", Mechanism: "kprobe", Reason: "fentry: permission denied"},
			{Name: "callback", Function: "bpf_map_free_mult_rcu_gp", Reason: "this kernel has no function of that name that can be traced; it may have been inlined, or renamed"},
		}}
	phases := []string{"enqueue", "rcu_gp", "queue", "free", "limbo", "update_wait"}
	refused := &results.Target{Kind: "local", Accel: "none", Clock: "wall", CPUs: 1,
		Kernel: results.Kernel{Release: "6.18\x1b[2J"},
		Probes: []results.Probe{{Name: "last put", Function: "bpf_map_free_id", Required: true, Reason: "fentry: operation not permitted; kprobe: no such file or directory"}}}
	for _, c := range []struct {
		name             string
		target           *results.Target
		phases, warnings []string
		o                Options
	}{
		{"doctor", target, phases, nil, Options{}},
		{"doctor_70", target, phases, []string{"mount tracefs on /sys/kernel/tracing: no such device\x1b[2J, which is said at some length"}, Options{Width: 70}},
		{"doctor_refused", refused, nil, nil, Options{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var buf bytes.Buffer
			if err := WriteDoctor(&buf, c.target, c.phases, c.warnings, c.o); err != nil {
				t.Fatal(err)
			}
			checkText(t, buf.String(), c.o)
			golden(t, c.name, buf.Bytes())
		})
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{FormatDuration(0), "0 ns"},
		{FormatDuration(1), "1 ns"},
		{FormatDuration(31.25), "31.2 ns"},
		{FormatDuration(999), "999 ns"},
		{FormatDuration(999.6), "1.00 µs"},
		{FormatDuration(1000), "1.00 µs"},
		{FormatDuration(14_640_000), "14.6 ms"},
		{FormatDuration(99_949), "99.9 µs"},
		{FormatDuration(99_950), "100 µs"},
		{FormatDuration(999_499), "999 µs"},
		{FormatDuration(999_500), "1.00 ms"},
		{FormatDuration(160_000_000), "160 ms"},
		{FormatDuration(1_234_000_000), "1.23 s"},
		{FormatDuration(4_321_000_000_000), "4321 s"},
		{FormatBytes(0), "0 B"},
		{FormatBytes(1023), "1023 B"},
		{FormatBytes(1024), "1.00 KiB"},
		{FormatBytes(5 << 30), "5.00 GiB"},
		{FormatByteSeconds(0.0421), "0.0421 B·s"},
		{FormatByteSeconds(3532.4), "3.45 KiB·s"},
		{formatShare(0), "0.0%"},
		{formatShare(0.0001), "<0.1%"},
		{formatShare(0.9871), "98.7%"},
		{formatShare(0.99951), "100%"},
		{formatRatio(10.96), "11×"},
		{formatRatio(3.44), "3.4×"},
		{shellQuote("a/b-1.2"), "a/b-1.2"},
		{shellQuote("-x"), "./-x"},
		{shellQuote("it's"), `'it'\''s'`},
		{shellQuote(""), "''"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
