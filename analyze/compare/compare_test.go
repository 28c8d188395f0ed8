// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// cellOf finds a figure's first comparison.
func cellOf(t *testing.T, c *Comparison, metric string) Cell {
	t.Helper()
	for _, r := range c.Groups[0].Rows {
		if r.Metric == metric {
			return r.Cells[0]
		}
	}
	t.Fatalf("no row %s", metric)
	return Cell{}
}

// The worked example of Holm's procedure with four tests: sorted p × 4, 3, 2, 1
// and never falling.
func TestHolm(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct{ in, want []float64 }{
		{[]float64{0.01, 0.04, 0.03, 0.005}, []float64{0.03, 0.06, 0.06, 0.02}},
		{[]float64{0.5, 0.9}, []float64{1, 1}},
		{[]float64{0.02}, []float64{0.02}},
		{[]float64{0.01, nan, 0.03}, []float64{0.02, nan, 0.03}},
		{nil, nil},
	} {
		got := Holm(c.in)
		for i := range got {
			if math.Abs(got[i]-c.want[i]) > 1e-12 || math.IsNaN(got[i]) != math.IsNaN(c.want[i]) {
				t.Errorf("%v: %v, want %v", c.in, got, c.want)
				break
			}
		}
	}
}

func TestStatisticsAgainstTables(t *testing.T) {
	for _, c := range []struct {
		p  float64
		df int
		t  float64
	}{{0.05, 4, 2.7764}, {0.05, 1, 12.7062}, {0.01, 18, 2.8784}, {0.001, 4, 8.6103}} {
		if got := tQuantile(c.p, c.df); math.Abs(got-c.t) > 1e-3 {
			t.Errorf("t(%v, %d) = %v, want %v", c.p, c.df, got, c.t)
		}
	}
	// The smallest p of the U test: 2 / C(2n, n).
	for n, want := range map[int]float64{2: 1.0 / 3, 4: 2.0 / 70, 6: 2.0 / 924, 10: 2.0 / 184756} {
		if got := smallestP(MethodMannWhitney, n, n); math.Abs(got-want) > 1e-12 {
			t.Errorf("n = %d: %v, want %v", n, got, want)
		}
	}
	for _, c := range []struct {
		method string
		alpha  float64
		tests  int
		want   int
	}{{MethodMannWhitney, 0.05, 1, 4}, {MethodMannWhitney, 0.001, 1, 7}, {MethodMannWhitney, 0.05, 23, 6}, {MethodSpread, 0.001, 23, 2}} {
		if got := TrialsNeeded(c.method, c.alpha, c.tests); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

func TestCompareFindsAndDoesNot(t *testing.T) {
	for _, c := range []struct {
		name   string
		clock  string
		trials int
		spread float64
		factor float64
		want   string
		need   int
	}{
		{"unchanged", results.ClockICount, 3, 0.0001, 1, EffectSame, 0},
		{"one percent slower", results.ClockICount, 3, 0.0001, 1.01, EffectWorse, 0},
		{"one percent faster", results.ClockICount, 3, 0.0001, 0.99, EffectBetter, 0},
		{"under the threshold", results.ClockICount, 3, 0.00001, 1.004, EffectSmall, 0},
		{"one trial has no spread", results.ClockICount, 1, 0.0001, 1.5, EffectFew, 2},
		{"noisy: nothing is claimed", results.ClockICount, 3, 0.1, 1.01, EffectSame, 0},
		{"wall, unchanged", results.ClockWall, 10, 0.02, 1, EffectSame, 0},
		{"wall, slower", results.ClockWall, 10, 0.02, 1.2, EffectWorse, 0},
		{"wall, under the threshold", results.ClockWall, 10, 0.001, 1.03, EffectSmall, 0},
		{"wall, too few", results.ClockWall, 4, 0.001, 2, EffectFew, 7},
	} {
		a, b := synthetic.Seeded(c.trials, c.spread, 1, c.clock, 1), synthetic.Seeded(c.trials, c.spread, c.factor, c.clock, 2)
		got, err := Runs([]Input{{"a", a}, {"b", b}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, metric := range []string{"limbo/p50", "lookup.syscall/mean"} {
			cell := cellOf(t, got, metric)
			if cell.Effect != c.want || cell.Need != c.need {
				t.Errorf("%s, %s: %s (need %d), want %s (%d)", c.name, metric, cell.Effect, cell.Need, c.want, c.need)
			}
		}
	}
}

// Under the null hypothesis the chance of any claim in a whole table is at
// most alpha. 300 tables: 15 are expected at most, 28 would be chance once in
// a thousand times.
func TestFalsePositives(t *testing.T) {
	for _, c := range []struct {
		clock  string
		trials int
		spread float64
	}{{results.ClockWall, 10, 0.3}, {results.ClockICount, 3, 0.01}, {results.ClockICount, 5, 0.002}} {
		const tables = 300
		false_ := 0
		for i := range tables {
			a, b := synthetic.Seeded(c.trials, c.spread, 1, c.clock, uint64(2*i)), synthetic.Seeded(c.trials, c.spread, 1, c.clock, uint64(2*i+1))
			got, err := Runs([]Input{{"a", a}, {"b", b}}, Options{Threshold: 1e-9})
			if err != nil {
				t.Fatal(err)
			}
			if n := got.Count(1); n[EffectWorse]+n[EffectBetter]+n[EffectSmall] > 0 {
				false_++
			}
		}
		t.Logf("%s, %d trials, spread %v: %d of %d tables", c.clock, c.trials, c.spread, false_, tables)
		if false_ > 28 {
			t.Errorf("%s, %d trials: a false claim in %d of %d tables", c.clock, c.trials, false_, tables)
		}
	}
}

func TestCompareAbsentIsNotZero(t *testing.T) {
	a, b := synthetic.Seeded(3, 0, 1, results.ClockICount, 1), synthetic.Seeded(3, 0, 1, results.ClockICount, 2)
	for i := range b.Scenarios[0].Trials {
		delete(b.Scenarios[0].Trials[i].Phases, results.PhaseUpdateWait)
		b.Scenarios[0].Trials[i].Phases[results.PhaseQueue] = results.Stats{} // n = 0
		b.Scenarios[0].Trials[i].Phases[results.PhaseEnqueue] = synthetic.Stats(5)
		m := b.Scenarios[0].Trials[i].Metrics["lookup.syscall"]
		m.Unit = "ns/op"
		b.Scenarios[0].Trials[i].Metrics["lookup.syscall"] = m
	}
	c, err := Runs([]Input{{"a", a}, {"b", b}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, metric := range []string{"update_wait/p50", "queue/p50", "enqueue/p50"} {
		if cell := cellOf(t, c, metric); cell.Effect != EffectAbsent || cell.Delta != nil || cell.P != nil {
			t.Errorf("%s: %+v", metric, cell)
		}
	}
	if cell := cellOf(t, c, "lookup.syscall/mean"); cell.Effect != EffectUnfit || cell.Note == "" {
		t.Errorf("another unit: %+v", cell)
	}
	if c.Groups[0].Rows[0].Metric != "enqueue/p50" {
		t.Errorf("the first row is %s", c.Groups[0].Rows[0].Metric)
	}
}

func TestCompareRefuses(t *testing.T) {
	for want, change := range map[string]func(*results.Run){
		"clock icount against wall":               func(r *results.Run) { r.Targets[0].Clock = "wall" },
		"architecture amd64 against arm64":        func(r *results.Run) { r.Targets[0].Arch = "arm64" },
		"accelerator tcg against kvm":             func(r *results.Run) { r.Targets[0].Accel = "kvm" },
		"target vm against local":                 func(r *results.Run) { r.Targets[0].Kind = "local" },
		"CPUs 1 against 2":                        func(r *results.Run) { r.Targets[0].CPUs = 2 },
		"CPUs allowed 2 against 1":                func(r *results.Run) { r.Targets[0].CPUsAllowed = 1 },
		"memory bytes 0 against 5":                func(r *results.Run) { r.Targets[0].MemoryBytes = 5 },
		"QEMU none against 9.0":                   func(r *results.Run) { r.Targets[0].QEMU = "9.0" },
		"loop closed against open":                func(r *results.Run) { r.Scenarios[0].Loop = "open" },
		"parameter slots none against 7":          func(r *results.Run) { r.Scenarios[0].Params["slots"] = "7" },
		"schema 2 against 0":                      func(r *results.Run) { r.SchemaVersion = 0 },
		"no workload with the same strategy":      func(r *results.Run) { r.Scenarios[0].Workload = "lookup" },
		"they have no workload with the same str": func(r *results.Run) { r.Scenarios[0].Strategy.Requested = "sync" },
	} {
		a, b := synthetic.Seeded(3, 0, 1, results.ClockICount, 1), synthetic.Seeded(3, 0, 1, results.ClockICount, 2)
		a.Targets[0].CPUsAllowed, b.Targets[0].CPUsAllowed = 2, 2
		change(b)
		in := []Input{{"a", a}, {"b", b}}
		_, err := Runs(in, Options{})
		var incomparable *IncomparableError
		if !errors.As(err, &incomparable) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
		c, err := Runs(in, Options{Force: true})
		if strings.Contains(want, "workload") {
			if err == nil {
				t.Errorf("%s: compared, though there is nothing to compare", want)
			}
			continue
		}
		if err != nil || len(c.Forced) == 0 || !strings.Contains(c.Forced[0], want) {
			t.Errorf("%s, forced: %v %+v", want, err, c)
		}
	}
	// A parameter that is empty is one that isn't there.
	a, b := synthetic.Seeded(3, 0, 1, results.ClockICount, 1), synthetic.Seeded(3, 0, 1, results.ClockICount, 2)
	b.Scenarios[0].Params["inject-delay"] = ""
	if _, err := Runs([]Input{{"a", a}, {"b", b}}, Options{}); err != nil {
		t.Error(err)
	}
	if _, err := Runs([]Input{{"a", a}}, Options{}); err == nil {
		t.Error("one run is compared with nothing")
	}
	if _, err := Runs([]Input{{"a", a}, {"b", b}}, Options{By: "colour"}); err == nil {
		t.Error("compared by colour")
	}
}

func TestCompareRefusesNonsense(t *testing.T) {
	for want, change := range map[string]func(*results.Trial){
		"limbo/byte_seconds is NaN": func(t *results.Trial) { t.Limbo.ByteSeconds = math.NaN() },
		"limbo/byte_seconds is -1":  func(t *results.Trial) { t.Limbo.ByteSeconds = -1 },
		"lookup.syscall/mean is +Inf": func(t *results.Trial) {
			t.Metrics["lookup.syscall"] = results.Metric{N: 1, Mean: math.Inf(1), Unit: "instructions/op"}
		},
		"lookup.syscall is better \"sideways\"": func(t *results.Trial) { t.Metrics["lookup.syscall"] = results.Metric{N: 1, Better: "sideways"} },
		"quantiles of phase limbo": func(t *results.Trial) {
			t.Phases["limbo"] = results.Stats{N: 1, P50NS: 9, P90NS: 3, P99NS: 9, MaxNS: 9}
		},
		"the mean of phase limbo is not a number": func(t *results.Trial) { t.Phases["limbo"] = results.Stats{N: 1, MeanNS: math.NaN()} },
		"lookup.syscall has buckets of width -1":  func(t *results.Trial) { t.Metrics["lookup.syscall"] = results.Metric{N: 1, BucketWidth: -1} },
		"lookup.syscall/mean has another unit":    func(t *results.Trial) { t.Metrics["lookup.syscall"] = results.Metric{N: 1, Unit: "parsecs"} },
	} {
		a, b := synthetic.Seeded(3, 0, 1, results.ClockICount, 1), synthetic.Seeded(3, 0, 1, results.ClockICount, 2)
		change(&b.Scenarios[0].Trials[1])
		_, err := Runs([]Input{{"a", a}, {"bad", b}}, Options{})
		var invalid *InvalidError
		if !errors.As(err, &invalid) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "bad") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// many is a run of two kernels and two strategies.
func many(t *testing.T) *results.Run {
	t.Helper()
	run := synthetic.Seeded(3, 0.0001, 1, results.ClockICount, 1)
	base := run.Scenarios[0]
	run.Targets = append(run.Targets, run.Targets[0])
	run.Scenarios = nil
	for i, kernel := range []string{"6.1", "6.12"} {
		run.Targets[i].Kernel.Release = kernel
		for _, strategy := range []string{"rcu", "tasks-trace"} {
			s := base
			s.ID, s.Kernel, s.TargetIx = kernel+"/"+strategy, kernel, i
			s.Strategy.Requested = strategy
			run.Scenarios = append(run.Scenarios, s)
		}
	}
	return run
}

func TestCompareBy(t *testing.T) {
	shape := func(c *Comparison) string {
		var out []string
		for _, g := range c.Groups {
			var sides []string
			for _, s := range g.Sides {
				sides = append(sides, s.Label+"="+s.Scenario)
			}
			out = append(out, g.Name+": "+strings.Join(sides, " "))
		}
		return strings.Join(append(out, c.Unmatched...), "\n")
	}
	run := many(t)
	patched := many(t)
	patched.Targets, patched.Scenarios = patched.Targets[1:], patched.Scenarios[2:]
	patched.Targets[0].Kernel.Release = "6.12-patched"
	for i := range patched.Scenarios {
		patched.Scenarios[i].TargetIx, patched.Scenarios[i].Kernel = 0, "6.12-patched"
	}
	only := many(t)
	only.Scenarios = only.Scenarios[2:]
	for _, c := range []struct {
		name   string
		inputs []Input
		by     string
		want   string
	}{
		{"strategies", []Input{{"r", run}}, ByStrategy, "synthetic 6.1: rcu=6.1/rcu tasks-trace=6.1/tasks-trace\n" +
			"synthetic 6.12: rcu=6.12/rcu tasks-trace=6.12/tasks-trace"},
		{"kernels", []Input{{"r", run}}, ByKernel, "synthetic rcu: 6.1=6.1/rcu 6.12=6.12/rcu\n" +
			"synthetic tasks-trace: 6.1=6.1/tasks-trace 6.12=6.12/tasks-trace"},
		{"kernels of two runs", []Input{{"r", run}, {"p", patched}}, ByKernel,
			"synthetic rcu: 6.1=6.1/rcu 6.12=6.12/rcu 6.12-patched=6.12/rcu\n" +
				"synthetic tasks-trace: 6.1=6.1/tasks-trace 6.12=6.12/tasks-trace 6.12-patched=6.12/tasks-trace"},
		{"the same kernels", []Input{{"a", run}, {"b", many(t)}}, ByRun, "synthetic rcu 6.1: a=6.1/rcu b=6.1/rcu\n" +
			"synthetic tasks-trace 6.1: a=6.1/tasks-trace b=6.1/tasks-trace\n" +
			"synthetic rcu 6.12: a=6.12/rcu b=6.12/rcu\nsynthetic tasks-trace 6.12: a=6.12/tasks-trace b=6.12/tasks-trace"},
		{"one kernel missing", []Input{{"a", run}, {"b", only}}, ByRun,
			"synthetic rcu 6.12: a=6.12/rcu b=6.12/rcu\nsynthetic tasks-trace 6.12: a=6.12/tasks-trace b=6.12/tasks-trace\n" +
				"a: 6.1/rcu has no counterpart in b\na: 6.1/tasks-trace has no counterpart in b"},
		{"before and after a patch", []Input{{"before", only}, {"after", patched}}, ByRun,
			"synthetic rcu: before=6.12/rcu after=6.12/rcu\nsynthetic tasks-trace: before=6.12/tasks-trace after=6.12/tasks-trace"},
	} {
		got, err := Runs(c.inputs, Options{By: c.by})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if shape(got) != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, shape(got), c.want)
		}
	}
	if _, err := Runs([]Input{{"r", run}}, Options{By: ByWorkload}); err == nil {
		t.Error("one workload is compared by workload")
	}
	two := many(t)
	two.Scenarios = two.Scenarios[:2]
	two.Scenarios[1].Workload, two.Scenarios[1].Strategy.Requested = "lookup", "rcu"
	c, err := Runs([]Input{{"r", two}}, Options{By: ByWorkload})
	if err != nil || shape(c) != "rcu 6.1: synthetic=6.1/rcu lookup=6.1/tasks-trace" {
		t.Errorf("workloads: %v %v", err, c)
	}
}

func TestComparePartialTrials(t *testing.T) {
	a, b := synthetic.Seeded(4, 0, 1, results.ClockICount, 1), synthetic.Seeded(3, 0, 1, results.ClockICount, 2)
	a.Scenarios[0].Trials[3].Partial = true
	a.Scenarios[0].Trials[3].Limbo.ByteSeconds = 1e9
	c, err := Runs([]Input{{"a", a}, {"b", b}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Groups[0].Sides[0].Trials; got != 3 || c.Groups[0].Rows[0].Base.N != 3 {
		t.Errorf("%d trials", got)
	}
	if !slices.Contains(c.Warnings, "a: 1 partial trials of synthetic left out") {
		t.Errorf("warnings %q", c.Warnings)
	}
}

func TestFiguresOfKeepsOrder(t *testing.T) {
	fs, err := FiguresOf(&synthetic.Seeded(2, 0, 1, results.ClockWall, 1).Scenarios[0])
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range fs {
		names = append(names, f.Name)
		if len(f.Values) != 2 {
			t.Errorf("%s: %v", f.Name, f.Values)
		}
	}
	want := "rcu_gp/p50 rcu_gp/mean rcu_gp/p90 rcu_gp/p99 rcu_gp/max queue/p50 queue/mean queue/p90 queue/p99 queue/max " +
		"limbo/p50 limbo/mean limbo/p90 limbo/p99 limbo/max limbo/byte_seconds limbo/byte_seconds_per_death limbo/peak_bytes " +
		"update_wait/p50 update_wait/mean update_wait/p90 update_wait/p99 update_wait/max op/p50 op/mean op/p90 op/p99 op/max " +
		"lookup.syscall/p50 lookup.syscall/mean lookup.syscall/p90 lookup.syscall/p99 lookup.syscall/max throughput/deaths_per_op throughput/ops_per_s"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("%s", got)
	}
	if fmt.Sprint(fs[0].TrialIndexes) != "[0 1]" {
		t.Errorf("trials %v", fs[0].TrialIndexes)
	}
}

// A metric that is a difference may be negative: more is still worse. No other
// one may, and none has the name of a phase.
func TestCompareNegativeMetrics(t *testing.T) {
	with := func(seed uint64, name string, cost float64, difference bool) *results.Run {
		run := synthetic.Seeded(3, 0, 1, results.ClockICount, seed)
		for i := range run.Scenarios[0].Trials {
			run.Scenarios[0].Trials[i].Metrics[name] = results.Metric{N: 1, Mean: cost, P50: cost, P90: cost, P99: cost, Unit: "instructions/op", Difference: difference}
		}
		return run
	}
	for _, tt := range []struct {
		run  *results.Run
		want string
	}{
		{with(1, "probe.syscall", -100, false), "probe.syscall/mean is -100"},
		{with(1, results.PhaseFree, 100, false), "metric free has the name of a phase"},
	} {
		var invalid *InvalidError
		if _, err := Runs([]Input{{"a", tt.run}, {"b", tt.run}}, Options{}); !errors.As(err, &invalid) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
	c, err := Runs([]Input{{"a", with(1, "probe.syscall", -100, true)}, {"b", with(2, "probe.syscall", -50, true)}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	cell := cellOf(t, c, "probe.syscall/p50")
	if cell.Effect != EffectWorse || *cell.Delta != 50 || *cell.Relative != 0.5 {
		t.Errorf("from -100 to -50: %+v", cell)
	}
}

// The interval of a figure that can't be negative ends at 0, that of a
// difference doesn't.
func TestCenterOfSignedFigures(t *testing.T) {
	for _, c := range []struct {
		values []float64
		signed bool
		lo     float64
		exact  bool
	}{
		{[]float64{1, 5, 30}, false, 0, true},
		{[]float64{1, 5, 30}, true, -20, false},
		{[]float64{-30, -5, -1}, true, -40, false},
		{[]float64{0, 0, 30}, false, 0, true},
		{[]float64{10, 10, 10}, true, 10, true},
	} {
		f := Figure{Values: c.values, signed: c.signed}
		got := f.center(true)
		if c.exact && *got.Lo != c.lo || !c.exact && *got.Lo > c.lo {
			t.Errorf("%v (signed: %v): from %v to %v, want from %v", c.values, c.signed, *got.Lo, *got.Hi, c.lo)
		}
		if half := *got.Hi - got.Median; c.signed && math.Abs(got.Median-*got.Lo-half) > 1e-9 {
			t.Errorf("%v: from %v to %v is not around %v", c.values, *got.Lo, *got.Hi, got.Median)
		}
	}
	// A run says which of its metrics are differences.
	run := synthetic.Seeded(3, 0, 1, results.ClockICount, 1)
	for i := range run.Scenarios[0].Trials {
		v := []float64{1, 5, 30}[i]
		m := results.Metric{N: 1, Mean: v, P50: v, P90: v, P99: v, Unit: "instructions/op"}
		run.Scenarios[0].Trials[i].Metrics["create"] = m
		m.Difference = true
		run.Scenarios[0].Trials[i].Metrics["probe.syscall"] = m
	}
	c, err := Runs([]Input{{"a", run}, {"b", run}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, clamped := range map[string]bool{"create/p50": true, "probe.syscall/p50": false} {
		base := c.Groups[0].Rows[slices.IndexFunc(c.Groups[0].Rows, func(r Row) bool { return r.Metric == name })].Base
		other := cellOf(t, c, name).Center
		if (*base.Lo == 0) != clamped || (*other.Lo == 0) != clamped {
			t.Errorf("%s: from %v and %v", name, *base.Lo, *other.Lo)
		}
	}
}

// Kernels A and B against C and A: A is A's counterpart, and C is what became
// of B.
func TestCompareMatchesEachKernelOnce(t *testing.T) {
	with := func(kernels ...string) *results.Run {
		run := synthetic.Seeded(3, 0, 1, results.ClockICount, 1)
		one, target := run.Scenarios[0], run.Targets[0]
		run.Scenarios, run.Targets = nil, nil
		for i, kernel := range kernels {
			s := one
			s.ID, s.Kernel, s.TargetIx = "synthetic/"+kernel+"/rcu", kernel, i
			target.Kernel.Release, target.Kernel.Requested, target.Kernel.SHA256 = kernel, "", kernel
			run.Scenarios, run.Targets = append(run.Scenarios, s), append(run.Targets, target)
		}
		return run
	}
	for _, tt := range []struct {
		base, candidate []string
		want            string
	}{
		{[]string{"A", "B"}, []string{"C", "A"}, "A A, B C"},
		{[]string{"A", "B"}, []string{"B", "A"}, "A A, B B"},
		{[]string{"A", "B"}, []string{"C", "D"}, "A C, B D"},
		{[]string{"A", "B"}, []string{"A"}, "A A"},
		{[]string{"A"}, []string{"B"}, "A B"},
	} {
		var got []string
		for _, m := range MatchRuns([]Input{{"a", with(tt.base...)}, {"b", with(tt.candidate...)}}, &Comparison{}) {
			got = append(got, m.Variants[0].Scenario.Kernel+" "+m.Variants[1].Scenario.Kernel)
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("%v against %v: %v, want %s", tt.base, tt.candidate, got, tt.want)
		}
	}
}

// TestPeakStep: the peak of memory in limbo comes in maps. Of one or two maps, one
// more is no difference; of many, it is the share of one.
func TestPeakStep(t *testing.T) {
	for _, c := range []struct {
		maps uint64
		want float64 // of the base's peak of 800 bytes
	}{{0, 800}, {1, 800}, {2, 400}, {100, 8}} {
		run := synthetic.Seeded(3, 0, 1, results.ClockICount, 1)
		for i := range run.Scenarios[0].Trials {
			run.Scenarios[0].Trials[i].Limbo = results.Limbo{PeakBytes: 800, PeakMaps: c.maps, ByteSeconds: 1}
		}
		figures, err := FiguresOf(&run.Scenarios[0])
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(figures, func(f Figure) bool { return f.Name == FigurePeakBytes })
		if got := NewChange(&figures[i], &figures[i], true).Step(); got != c.want {
			t.Errorf("a peak of %d maps: a step of %v bytes, want %v", c.maps, got, c.want)
		}
	}
}
