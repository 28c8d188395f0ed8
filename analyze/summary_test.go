// SPDX-License-Identifier: Apache-2.0

package analyze_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

func TestStatsOf(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []int64
		want   results.Stats
	}{
		{name: "empty"},
		{"one", []int64{1_234_567}, results.Stats{N: 1, P50NS: 1_234_567, P90NS: 1_234_567, P99NS: 1_234_567,
			MinNS: 1_234_567, MaxNS: 1_234_567, MeanNS: 1_234_567, SumNS: 1_234_567}},
		{"zero", []int64{0, 0}, results.Stats{N: 2}},
		{"small", []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, results.Stats{N: 10, P50NS: 5, P90NS: 9, P99NS: 10,
			MinNS: 1, MaxNS: 10, MeanNS: 5.5, SumNS: 55}},
		{"longer than the histogram", []int64{1, results.HistogramMaxNS * 3}, results.Stats{N: 2, P50NS: 1,
			MinNS: 1, MaxNS: results.HistogramMaxNS * 3,
			MeanNS: float64(results.HistogramMaxNS*3+1) / 2, SumNS: results.HistogramMaxNS*3 + 1}},
	} {
		d := analyze.NewDistribution()
		for _, v := range c.values {
			if err := d.Record(v); err != nil {
				t.Fatal(err)
			}
		}
		got := d.Stats()
		if c.name == "longer than the histogram" {
			// Known only to be above the range.
			if got.P99NS < results.HistogramMaxNS {
				t.Errorf("%s: p99 %d", c.name, got.P99NS)
			}
			got.P90NS, got.P99NS = c.want.P90NS, c.want.P99NS
		}
		if got != c.want {
			t.Errorf("%s: %+v\nwant %+v", c.name, got, c.want)
		}
	}
	if err := analyze.NewDistribution().Record(-1); err == nil {
		t.Error("a negative time is recorded")
	}
}

func TestShare(t *testing.T) {
	deaths := synthetic.Deaths(2, 400)
	ds, err := analyze.DistributionsOf(deaths)
	if err != nil {
		t.Fatal(err)
	}
	phases := map[string]results.Stats{}
	for phase, d := range ds {
		phases[phase] = d.Stats()
	}
	var sum float64
	for _, phase := range results.DeathPhases() {
		s, ok := analyze.Share(phases, phase)
		if !ok {
			t.Errorf("%s has no share", phase)
		}
		sum += s
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("shares add up to %v", sum)
	}
	if _, ok := analyze.Share(phases, "none"); ok {
		t.Error("an absent phase has a share")
	}
	if _, ok := analyze.Share(nil, results.PhaseFree); ok {
		t.Error("no phases, but a share")
	}
}

func TestLimboOf(t *testing.T) {
	point := func(at int64, bytes, maps uint64) results.LimboPoint {
		return results.LimboPoint{AtNS: at, Bytes: bytes, Maps: maps}
	}
	for _, c := range []struct {
		name  string
		spans []analyze.Span
		want  results.Limbo
		line  []results.LimboPoint
	}{
		{name: "none"},
		{name: "no length", spans: []analyze.Span{{PutNS: 5, EndNS: 5, Bytes: 100}, {PutNS: 9, EndNS: 3, Bytes: 100}}},
		{"one", []analyze.Span{{PutNS: 100, EndNS: 100 + 2e9, Bytes: 50}}, results.Limbo{PeakBytes: 50, PeakMaps: 1, ByteSeconds: 100},
			[]results.LimboPoint{point(0, 50, 1), point(2e9, 0, 0)}},
		{"overlap", []analyze.Span{{PutNS: 10, EndNS: 30, Bytes: 5}, {PutNS: 0, EndNS: 20, Bytes: 7}}, results.Limbo{PeakBytes: 12, PeakMaps: 2, ByteSeconds: 240e-9},
			[]results.LimboPoint{point(0, 7, 1), point(10, 12, 2), point(20, 5, 1), point(30, 0, 0)}},
		{"one goes as one comes", []analyze.Span{{PutNS: 0, EndNS: 10, Bytes: 5}, {PutNS: 10, EndNS: 20, Bytes: 7}}, results.Limbo{PeakBytes: 7, PeakMaps: 1, ByteSeconds: 120e-9},
			[]results.LimboPoint{point(0, 5, 1), point(10, 7, 1), point(20, 0, 0)}},
	} {
		got, line := analyze.LimboOf(c.spans)
		if got != c.want || !reflect.DeepEqual(line, c.line) {
			t.Errorf("%s: %+v %v\nwant %+v %v", c.name, got, line, c.want, c.line)
		}
	}
}

// The timeline of many spans is short, and no peak gets lost in it.
func TestLimboTimeline(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		spans := make([]analyze.Span, 5000)
		for i := range spans {
			put := r.Int64N(1e9)
			spans[i] = analyze.Span{PutNS: put, EndNS: put + r.Int64N(1e7), Bytes: r.Uint64N(1e6)}
		}
		limbo, line := analyze.LimboOf(spans)
		if len(line) > analyze.MaxTimelinePoints {
			t.Fatalf("%d points", len(line))
		}
		var bytes, maps uint64
		for i, p := range line {
			bytes, maps = max(bytes, p.Bytes), max(maps, p.Maps)
			if i > 0 && p.AtNS <= line[i-1].AtNS {
				t.Fatalf("point %d at %d follows one at %d", i, p.AtNS, line[i-1].AtNS)
			}
		}
		if bytes != limbo.PeakBytes || maps != limbo.PeakMaps {
			t.Errorf("timeline peaks at %d bytes, %d maps; limbo at %d, %d", bytes, maps, limbo.PeakBytes, limbo.PeakMaps)
		}
	}
	// A level that holds over many intervals is in each of them.
	spans := []analyze.Span{{PutNS: 0, EndNS: 1000_000, Bytes: 11}}
	for i := range int64(300) {
		spans = append(spans, analyze.Span{PutNS: i, EndNS: i + 1, Bytes: 1})
	}
	_, line := analyze.LimboOf(spans)
	if len(line) != analyze.MaxTimelinePoints || line[0].Bytes != 12 || line[100].Bytes != 11 {
		t.Errorf("%d points, %v, %v", len(line), line[0], line[min(100, len(line)-1)])
	}
}

// A meter that is told of deaths as they end, and of those under way now and then,
// finds what it would if it knew all from the beginning.
func TestLimboMeterForgets(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for round := range 20 {
		all := make([]results.Death, 5000)
		for i := range all {
			put := r.Int64N(1e9)
			length := r.Int64N(1e7)
			if i%50 == 0 {
				length *= 100
			}
			all[i] = results.Death{MapID: uint32(i), PutNS: put, FreedNS: put + length, MemBytes: r.Uint64N(1e6)}
		}
		const end = int64(9e8) // what has not ended by then is pending
		var ended, pending []results.Death
		for _, d := range all {
			switch {
			case d.FreedNS < end:
				ended = append(ended, d)
			case d.PutNS < end:
				pending = append(pending, d)
			}
		}
		slices.SortFunc(ended, func(a, b results.Death) int { return cmp.Compare(a.FreedNS, b.FreedNS) })
		want, _ := analyze.LimboOf(analyze.SpansOf(ended, pending, end))
		var m analyze.LimboMeter
		var partly results.Limbo
		for i := range ended {
			m.Death(&ended[i])
			if i%(100+97*round) != 0 {
				continue
			}
			at := ended[i].FreedNS
			var open []results.Death
			for _, d := range all {
				if d.PutNS <= at && d.FreedNS > at {
					open = append(open, d)
				}
			}
			m.Advance(at, open)
			if i > 2500 && partly.PeakMaps == 0 {
				partly, _ = m.Clone().FinishAt(at, open)
			}
		}
		got, line := m.FinishAt(end, pending)
		if got != want || partly.PeakMaps == 0 || partly.ByteSeconds >= want.ByteSeconds {
			t.Fatalf("round %d: %+v, on the way %+v, want %+v", round, got, partly, want)
		}
		var bytes, maps uint64
		for i, p := range line {
			bytes, maps = max(bytes, p.Bytes), max(maps, p.Maps)
			if i > 0 && p.AtNS <= line[i-1].AtNS {
				t.Fatalf("point %d at %d follows one at %d", i, p.AtNS, line[i-1].AtNS)
			}
		}
		if bytes != want.PeakBytes || maps != want.PeakMaps || len(line) > analyze.MaxTimelinePoints || len(line) < analyze.MaxTimelinePoints/2 {
			t.Errorf("round %d: timeline of %d points peaks at %d bytes, %d maps; limbo at %+v", round, len(line), bytes, maps, want)
		}
	}
}

// A death that was under way and then got lost is in limbo until it was last seen.
func TestLimboMeterLost(t *testing.T) {
	var m analyze.LimboMeter
	lost := results.Death{MapID: 1, PutNS: 10, MemBytes: 5}
	m.Advance(100, []results.Death{lost})
	m.Advance(200, []results.Death{lost})
	m.Advance(300, nil)
	m.Death(&results.Death{MapID: 2, PutNS: 310, FreedNS: 320, MemBytes: 7})
	limbo, line := m.FinishAt(400, nil)
	want := []results.LimboPoint{{AtNS: 0, Bytes: 5, Maps: 1}, {AtNS: 190}, {AtNS: 300, Bytes: 7, Maps: 1}, {AtNS: 310}}
	if limbo.PeakBytes != 7 || limbo.PeakMaps != 1 || !reflect.DeepEqual(line, want) {
		t.Errorf("%+v %v", limbo, line)
	}
}

func TestStrategyOf(t *testing.T) {
	for path, want := range map[string]string{
		"rcu": "rcu", "tasks-trace+rcu": "tasks-trace", "tasks-trace": "tasks-trace", "rcu+sync": "sync",
		"tasks-trace+rcu+sync": "sync", "immediate": "immediate", "": "", "other": "other", "not-rcu": "not-rcu",
	} {
		if got := analyze.StrategyOf(path); got != want {
			t.Errorf("%q is %q, want %q", path, got, want)
		}
	}
}

func TestObserved(t *testing.T) {
	for _, c := range []struct {
		paths map[string]uint64
		want  string
	}{
		{nil, ""},
		{map[string]uint64{"rcu": 0}, ""},
		{map[string]uint64{"rcu": 5, "immediate": 1}, "rcu"},
		{map[string]uint64{"rcu": 5, "tasks-trace": 3, "tasks-trace+rcu": 3}, "tasks-trace"},
		{map[string]uint64{"rcu": 5, "tasks-trace": 5}, "tasks-trace"},
		{map[string]uint64{"zz": 5, "aa": 5}, "aa"},
		{map[string]uint64{"zz": 5, "rcu": 5}, "rcu"},
	} {
		if got := analyze.Observed(c.paths); got != c.want {
			t.Errorf("%v: %q, want %q", c.paths, got, c.want)
		}
	}
}

func TestMismatches(t *testing.T) {
	scenario := func(kernel, requested string, paths map[string]uint64) results.Scenario {
		return results.Scenario{Kernel: kernel, Strategy: results.Strategy{Requested: requested, Observed: analyze.Observed(paths), Paths: paths}}
	}
	run := &results.Run{Scenarios: []results.Scenario{
		scenario("6.12.117", "rcu", map[string]uint64{"rcu": 300}),
		scenario("6.1.192", "rcu", map[string]uint64{"tasks-trace+rcu": 300}),
		scenario("6.12.117", "rcu", map[string]uint64{"tasks-trace": 299, "rcu": 1}),
		scenario("7.2.12", "immediate", map[string]uint64{"rcu": 9}),
		scenario("7.2.12", "tasks-trace", map[string]uint64{"tasks-trace": 298, "immediate": 2}),
		scenario("7.2.12", "sync", nil),
	}}
	want := []string{
		"6.1.192: strategy rcu was requested, tasks-trace was observed (300 of 300 deaths; path tasks-trace+rcu 300): " +
			"this kernel chose another path; kernels without af66bfd3c853 (6.8) wait for both grace periods for every inner map",
		"6.12.117: strategy rcu was requested, tasks-trace was observed (299 of 300 deaths; path tasks-trace 299, rcu 1): " +
			"this kernel chose another path; kernels without af66bfd3c853 (6.8) wait for both grace periods for every inner map",
		"7.2.12: strategy immediate was requested, rcu was observed (9 of 9 deaths; path rcu 9): this kernel chose another path",
		"7.2.12: strategy tasks-trace: 2 of 300 deaths went another way (path tasks-trace 298, immediate 2)",
	}
	if got := analyze.Mismatches(run); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// trialRun is what a target gives back for one trial.
func trialRun(t *testing.T, id, kernel, requested string, index int, deaths []results.Death) (*results.Run, map[string]*hdrhistogram.Histogram) {
	t.Helper()
	ds, err := analyze.DistributionsOf(deaths)
	if err != nil {
		t.Fatal(err)
	}
	trial := results.Trial{
		Index: index, Puts: uint64(len(deaths)), Freed: uint64(len(deaths)),
		Phases: map[string]results.Stats{}, Paths: map[string]uint64{}, Loss: map[string]uint64{"ring_full": uint64(index)},
		Metrics: map[string]results.Metric{"cost": {N: 10, Unit: "ns/op", P50: float64(10 + index), P90: 1, P99: 1, Min: 5, Max: float64(20 + index), Mean: float64(10 + index)}},
	}
	hs := map[string]*hdrhistogram.Histogram{}
	for phase, d := range ds {
		trial.Phases[phase] = d.Stats()
		hs[results.Tag(id, index, phase)] = d.Histogram
	}
	for _, d := range deaths {
		trial.Paths[d.Path]++
	}
	trial.Limbo, trial.Timeline = analyze.LimboOf(analyze.SpansOf(deaths, nil, 0))
	target := results.Target{Kind: "vm", Accel: "tcg", Clock: "wall", CPUs: 2, Kernel: results.Kernel{Release: kernel}}
	return &results.Run{
		Targets: []results.Target{target}, Target: target,
		Scenarios: []results.Scenario{{
			ID: id, Workload: "churn", Kernel: kernel, Loop: "closed", Params: map[string]string{"outer": "array-of-maps"},
			Strategy: results.Strategy{Requested: requested}, Phases: trial.Phases, Trials: []results.Trial{trial},
			Warnings: []string{"said in every trial"},
		}},
		Stacks:   synthetic.Stacks,
		Warnings: []string{"said in every run"},
	}, hs
}

func addAll(s *analyze.Summer, byTag map[string]*hdrhistogram.Histogram) error {
	for tag, h := range byTag {
		scenario, trial, phase, err := results.ParseTag(tag)
		if err != nil {
			return err
		}
		if err := s.AddHistogram(scenario, phase, trial, h); err != nil {
			return err
		}
	}
	return nil
}

func TestMergeAndFinish(t *testing.T) {
	run, sum := &results.Run{Tool: results.Tool{Name: "mapprof"}}, analyze.NewSummer()
	all := map[string][]results.Death{}
	add := func(id, kernel, requested string, index int, seed uint64) {
		deaths := synthetic.Deaths(seed, 200)
		all[id] = append(all[id], deaths...)
		part, hs := trialRun(t, id, kernel, requested, index, deaths)
		if err := analyze.Merge(run, part); err != nil {
			t.Fatal(err)
		}
		if err := addAll(sum, hs); err != nil {
			t.Fatal(err)
		}
	}
	// A B A B, the second kernel's trials in the wrong order.
	add("a", "6.12.117", "rcu", 0, 1)
	add("b", "7.2.12", "rcu", 1, 2)
	add("a", "6.12.117", "rcu", 1, 3)
	add("b", "7.2.12", "rcu", 0, 4)
	if err := sum.Finish(run); err != nil {
		t.Fatal(err)
	}
	if len(run.Targets) != 2 || run.Target.Kernel.Release != "6.12.117" || run.Find("b").TargetIx != 1 {
		t.Errorf("targets %+v", run.Targets)
	}
	for id, deaths := range all {
		s := run.Find(id)
		want, err := analyze.DistributionsOf(deaths)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Phases) != len(want) {
			t.Errorf("%s: %d phases, want %d", id, len(s.Phases), len(want))
		}
		for phase, d := range want {
			if got := s.Phases[phase]; got != d.Stats() {
				t.Errorf("%s %s: %+v, all deaths at once give %+v", id, phase, got, d.Stats())
			}
		}
		if s.Trials[0].Index != 0 || s.Trials[1].Index != 1 {
			t.Errorf("%s: trials out of order", id)
		}
		if got, want := s.Limbo.ByteSeconds, s.Trials[0].Limbo.ByteSeconds+s.Trials[1].Limbo.ByteSeconds; got != want {
			t.Errorf("%s: %v byte-seconds, want %v", id, got, want)
		}
		if s.Limbo.PeakBytes != max(s.Trials[0].Limbo.PeakBytes, s.Trials[1].Limbo.PeakBytes) {
			t.Errorf("%s: peak %d", id, s.Limbo.PeakBytes)
		}
		if s.Loss["ring_full"] != 1 || len(s.Warnings) != 1 {
			t.Errorf("%s: loss %v, warnings %q", id, s.Loss, s.Warnings)
		}
		var n uint64
		for _, c := range s.Strategy.Paths {
			n += c
		}
		if n != 400 || s.Strategy.Observed == "" {
			t.Errorf("%s: strategy %+v", id, s.Strategy)
		}
		if m := s.Metrics["cost"]; m.N != 20 || m.Min != 5 || m.Max != 21 || m.Mean != 10.5 || m.P50 != 10.5 {
			t.Errorf("%s: metric %+v", id, m)
		}
	}
	if run.Loss["ring_full"] != 2 {
		t.Errorf("loss %v", run.Loss)
	}
	if w := run.Warnings; len(w) < 2 || !strings.HasPrefix(w[0], "6.12.117: strategy rcu ") || w[len(w)-1] != "said in every run" {
		t.Errorf("warnings %q", w)
	}
	if err := analyze.CheckBalance(run); err != nil {
		t.Error(err)
	}
	run.Scenarios[0].Trials[1].Freed--
	if err := analyze.CheckBalance(run); err == nil || !strings.Contains(err.Error(), "scenario a: trial 1 does not balance") {
		t.Errorf("a trial that doesn't balance: %v", err)
	}
}

func TestMergeErrors(t *testing.T) {
	run := &results.Run{}
	first, _ := trialRun(t, "a", "6.12.117", "rcu", 0, synthetic.Deaths(1, 5))
	if err := analyze.Merge(run, first); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*results.Run)
		want   string
	}{
		"twice":   {func(r *results.Run) {}, "merge trial: trial 0 of scenario a occurs twice"},
		"other":   {func(r *results.Run) { r.Scenarios[0].Params["outer"] = "hash-of-maps" }, "merge trial: scenario a isn't the one of that name"},
		"targets": {func(r *results.Run) { r.Scenarios[0].TargetIx = 1 }, "merge trial: scenario a names target 1 of 1"},
	} {
		part, _ := trialRun(t, "a", "6.12.117", "rcu", 0, synthetic.Deaths(1, 5))
		c.change(part)
		if err := analyze.Merge(run, part); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if len(run.Scenarios) != 1 || len(run.Scenarios[0].Trials) != 1 {
			t.Errorf("%s: merged all the same", name)
		}
	}
}

func TestSummerErrors(t *testing.T) {
	deaths := synthetic.Deaths(1, 5)
	run, hs := trialRun(t, "a", "6.12.117", "rcu", 0, deaths)
	if err := analyze.NewSummer().Finish(run); err == nil || !strings.Contains(err.Error(), "holds 0 values, its trial counted") {
		t.Errorf("histograms missing: %v", err)
	}
	s := analyze.NewSummer()
	if err := addAll(s, hs); err != nil {
		t.Fatal(err)
	}
	if err := addAll(s, hs); err == nil || !strings.Contains(err.Error(), "occurs twice") {
		t.Errorf("twice: %v", err)
	}
	far := hdrhistogram.New(1, math.MaxInt64/4, 3)
	if err := far.RecordValue(math.MaxInt64 / 8); err != nil {
		t.Fatal(err)
	}
	if err := s.AddHistogram("a", "other", 0, far); err == nil || !strings.Contains(err.Error(), "holds 1 values above") {
		t.Errorf("out of range: %v", err)
	}
}
