// SPDX-License-Identifier: Apache-2.0

//go:build linux

package seeds

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	_ "github.com/mapprof/mapprof/workloads/all" // of the scenarios
)

// TestRows: each row has scenarios whose workload takes their parameters, or a reason.
func TestRows(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rows {
		if (len(r.scenarios) == 0) == (r.why == "") || r.since == "" || r.what == "" {
			t.Errorf("%s has %d scenarios, reason %q", r.commits, len(r.scenarios), r.why)
		}
		if len(r.scenarios) > 0 && (r.figures == nil) == (r.refusal == "") {
			t.Errorf("%s has no figures", r.commits)
		}
		for _, name := range r.scenarios {
			if s, err := ScenarioNamed(name); err != nil || s.Workload == "" || len(s.Strategies) == 0 {
				t.Errorf("%s: %+v, %v", r.commits, s, err)
			}
		}
		for c := range strings.SplitSeq(r.commits, ", ") {
			if seen[c] || len(c) < 10 {
				t.Errorf("commit %s is there twice, or too short", c)
			}
			seen[c] = true
		}
	}
}

func TestScenarioNamed(t *testing.T) {
	s, err := ScenarioNamed("--workload lookup --inner-entries-differ --path syscall")
	if err != nil || s.Params["inner-entries-differ"] != "true" || s.Params["path"] != "syscall" || !slices.Equal(s.Strategies, []string{results.StrategyNone}) {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []string{"churn", "--workload chrun", "--workload churn --colour red", "--workload churn --strategy fast"} {
		if _, err := ScenarioNamed(bad); err == nil {
			t.Errorf("%q is a scenario", bad)
		}
	}
}

func TestChoose(t *testing.T) {
	for asked, want := range map[string]int{"20c20bd11a13": 1, "20c20bd": 1, "134fede4ee": 1, "20c20bd11a13,af66bfd3c853": 2} {
		got, err := choose(strings.Split(asked, ","))
		if err != nil || len(got) != want {
			t.Errorf("%s: %d rows, %v", asked, len(got), err)
		}
	}
	for _, bad := range []string{"20c20b", "0123456789ab"} {
		if _, err := choose([]string{bad}); err == nil {
			t.Errorf("%s is a row", bad)
		}
	}
}

// made is a run of one scenario.
func made(kernel string, paths map[string]uint64) *results.Run {
	return &results.Run{Scenarios: []results.Scenario{{
		Kernel: kernel, Params: map[string]string{"outer": "array-of-maps"}, Strategy: results.Strategy{Requested: "any", Paths: paths},
		Metrics: map[string]results.Metric{"update.failed.full.waits": {N: 20, Mean: 1}},
		Trials:  []results.Trial{{Failures: []string{"addressing: FAIL: x"}, Findings: []string{"addressing: ok: y", "inner maps: refused: xskmap (EINVAL)"}}},
	}}}
}

// TestTable: it is whole whatever fails, a scenario runs once on each kernel, and what
// a kernel lacks is no failure.
func TestTable(t *testing.T) {
	chosen, err := choose([]string{"20c20bd11a13", "f4d0525921", "07343110b293", "2beee5f574", "25763b3c86", "7b5dd2bde7"})
	if err != nil {
		t.Fatal(err)
	}
	did := map[string]int{}
	do := func(_ context.Context, s Scenario, kernel string) (*results.Run, error) {
		did[kernel+s.Name]++
		switch s.Name {
		case lookupPerCPU:
			if kernel == "5.10" {
				return nil, &target.MachineError{Reason: "it has no such helper"}
			}
		case innerProgArray:
			return nil, errors.New("ENOTSUPP, errno 524 (this kernel makes such maps, and refuses them as inner maps)")
		case innerEntries:
			return made(kernel+".1", nil), errors.New("trial 0: addressing: FAIL: x")
		}
		return made(kernel+".1", map[string]uint64{"immediate": 64, "rcu": 1}), nil
	}
	table, err := makeTable(t.Context(), chosen, []string{"5.10", "6.12"}, do)
	if err == nil || !strings.Contains(err.Error(), "4 of the table's cells fell short") {
		t.Error(err)
	}
	for what, n := range did {
		if n != 1 {
			t.Errorf("%s ran %d times", what, n)
		}
	}
	var verdicts []string
	for _, r := range table.Rows {
		for _, c := range r.Cells {
			verdicts = append(verdicts, r.Commits[:7]+" "+c.Verdict)
		}
	}
	want := []string{"7b5dd2b fell short", "7b5dd2b fell short", "2beee5f works", "2beee5f works", "f4d0525 fell short", "f4d0525 fell short",
		"0734311 not there", "0734311 works", "20c20bd works", "20c20bd works"}
	if !slices.Equal(verdicts, want) {
		t.Errorf("%q", verdicts)
	}
	for format, has := range map[string][]string{
		"table": {"no row yet: it changed no code", "  6.12.1: fell short\n    addressing: 1 proofs hold, 1 fail; refuses xskmap (EINVAL)\n    trial 0: addressing: FAIL: x\n",
			"64 by immediate, 1 by rcu", "20 of 20 updates that fail waited", "took such inner maps"},
		"markdown": {"| 25763b3c86 | 5.3 | licence lines | | it changed no code: there is nothing to measure | no row yet |", "| | | | 6.12.1 | lookup by percpu-helper – | works |"},
	} {
		var b strings.Builder
		if err := table.Write(&b, format); err != nil {
			t.Fatal(err)
		}
		for _, want := range has {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s has no %q:\n%s", format, want, b.String())
			}
		}
	}
	var b strings.Builder
	var back Table
	if err := table.Write(&b, "json"); err != nil || json.Unmarshal([]byte(b.String()), &back) != nil || len(back.Rows) != len(table.Rows) {
		t.Errorf("%v: %s", err, b.String())
	}
}

// TestHolderFigures: what a kernel lacks has no time.
func TestHolderFigures(t *testing.T) {
	s := results.Scenario{
		Params: map[string]string{"by": "pin,program,outer"},
		Trials: []results.Trial{{Findings: []string{"references: 7", "pin: held by pin", "program: absent: this kernel refuses it"}}},
		Metrics: map[string]results.Metric{
			"holders.held.pin": {N: 3, P50: 2e6}, "holders.program_free.pin": {N: 3, P50: 1e6}, "holders.limbo.pin": {N: 3, P50: 5e3},
		},
	}
	want := "pin: held by pin, 2.00 ms after the workload's close (the program's wait 1.00 ms); limbo 5.00 µs\nprogram: absent: this kernel refuses it\nouter: –"
	if got := holders(&s); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := found("references: ")(&s); got != "references: 7" {
		t.Error(got)
	}
}

// TestTableCancelled: who ends it has what there is.
func TestTableCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := makeTable(ctx, rows, []string{"6.12"}, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// verifiedBy is a scenario of 32 functions.
func verifiedBy(least, median, statics float64) results.Scenario {
	return results.Scenario{Params: map[string]string{"globals": "32"}, Metrics: map[string]results.Metric{
		"programs.verify.calls.globals": {N: 2, Min: least, P50: median}, "programs.verify.calls.statics": {N: 2, Min: statics, P50: statics},
	}}
}

// coded has loops of that many instructions.
func coded(kind string, without, with float64) results.Scenario {
	return results.Scenario{Params: map[string]string{"map": kind}, Metrics: map[string]results.Metric{
		"code.inlined": {N: 1, P50: without}, "code.inlined-unprivileged": {N: 1, P50: with},
	}}
}

// redirected is a redirect of 128 frames, of which so many arrived.
func redirected(to string, arrived, mean, most float64) results.Scenario {
	return results.Scenario{Params: map[string]string{"to": to}, Metrics: map[string]results.Metric{
		"redirect.sent": {N: 1, Mean: 128}, "redirect.arrived": {N: 1, Mean: arrived}, "redirect.bulk.frames": {N: 8, Mean: mean, Max: most},
	}}
}

// TestProofs: each can fail.
func TestProofs(t *testing.T) {
	for _, tt := range []struct {
		proof func(*results.Scenario) string
		s     results.Scenario
		want  string
	}{
		{hashWaitsForNone, results.Scenario{Params: map[string]string{"outer": "hash-of-maps"}, Strategy: results.Strategy{Paths: map[string]uint64{"immediate": 64, "rcu": 1}}}, ""},
		{hashWaitsForNone, results.Scenario{Params: map[string]string{"outer": "hash-of-maps"}, Strategy: results.Strategy{Paths: map[string]uint64{"rcu": 65}}}, "64 inner maps of a dying hash-of-maps waited for a grace period"},
		{hashWaitsForNone, results.Scenario{Params: map[string]string{"outer": "array-of-maps"}, Strategy: results.Strategy{Paths: map[string]uint64{"rcu": 65}}}, ""},
		{sleepersAreWaitedFor, results.Scenario{Strategy: results.Strategy{Requested: "rcu", Paths: map[string]uint64{"rcu": 3}}}, ""},
		{sleepersAreWaitedFor, results.Scenario{Strategy: results.Strategy{Requested: "tasks-trace", Paths: map[string]uint64{"tasks-trace+rcu": 3}}}, ""},
		{sleepersAreWaitedFor, results.Scenario{Strategy: results.Strategy{Requested: "tasks-trace", Paths: map[string]uint64{"tasks-trace": 3, "rcu": 1}}},
			"1 maps were freed without a tasks-trace grace period while a sleepable program used their outer map"},
		{allOrNoneExpedited, results.Scenario{Phases: map[string]results.Stats{results.PhaseUpdateWait: {N: 9}}}, ""},
		{allOrNoneExpedited, results.Scenario{Phases: map[string]results.Stats{results.PhaseUpdateWait: {N: 9}}, Trials: []results.Trial{{Expedited: 8}}},
			"8 of 9 waits of an update were expedited"},
		{eachByItself, verifiedBy(33, 33, 1), ""},
		{eachByItself, verifiedBy(32, 33, 1), "32 global functions were verified by 32 calls, most often by 33, static ones by 1, most often by 1"},
		{eachByItself, verifiedBy(33, 66, 1), "32 global functions were verified by 33 calls, most often by 66, static ones by 1, most often by 1"},
		{eachByItself, verifiedBy(33, 33, 33), "32 global functions were verified by 33 calls, most often by 33, static ones by 33, most often by 33"},
		{eachByItself, results.Scenario{Params: map[string]string{"globals": "32"}}, "32 global functions were verified by 0 calls, most often by 0, static ones by 0, most often by 0"},
		{idsGiven, results.Scenario{Params: map[string]string{"map": "array-of-maps,hash-of-maps"}, Metrics: map[string]results.Metric{
			"calls.array-of-maps.lookup": {N: 20}, "calls.hash-of-maps.lookup.refused": {N: 20},
		}}, "no lookup of hash-of-maps gave an id"},
		{idsGiven, results.Scenario{Params: map[string]string{"map": "array-of-maps"}, Metrics: map[string]results.Metric{"calls.array-of-maps.lookup": {N: 20}}}, ""},
		{oneMaskEach, coded("array", 43, 44), ""},
		{oneMaskEach, coded("array-of-maps", 57, 59), ""},
		{oneMaskEach, coded("array-of-maps", 57, 58), "1 BPF instructions more where CAP_BPF alone created the map, not 2"},
		{oneMaskEach, results.Scenario{}, "0 BPF instructions more where CAP_BPF alone created the map, not 1"},
		{allArriveInBulks, redirected("devmap", 128, 16, 16), ""},
		{allArriveInBulks, redirected("ifindex", 128, 1, 1), "8 bulks to ifindex have 1.0 frames, and at most 1 (the queue takes 16)"},
		{allArriveInBulks, redirected("cpumap", 128, 8, 8), ""},
		{allArriveInBulks, redirected("cpumap", 128, 8, 16), "8 bulks to cpumap have 8.0 frames, and at most 16 (the queue takes 8)"},
		{allArriveInBulks, redirected("devmap", 127, 16, 16), "128 frames were redirected to devmap, and 127 arrived"},
		{allArriveInBulks, results.Scenario{Params: map[string]string{"to": "devmap"}}, "0 frames were redirected to devmap, and 0 arrived"},
		{allOrNoneWaitInFree, results.Scenario{Phases: map[string]results.Stats{results.PhaseFree: {N: 9}}}, ""},
		{allOrNoneWaitInFree, results.Scenario{Phases: map[string]results.Stats{results.PhaseFree: {N: 9}, results.PhaseFreeWait: {N: 9}}}, ""},
		{allOrNoneWaitInFree, results.Scenario{Phases: map[string]results.Stats{results.PhaseFree: {N: 9}, results.PhaseFreeWait: {N: 8}}},
			"8 of 9 frees waited for a grace period"},
	} {
		if got := tt.proof(&tt.s); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	// And its failure is its cell's.
	made := made("7.2", map[string]uint64{"rcu": 65})
	made.Scenarios[0].Params["outer"] = "hash-of-maps"
	c := Cell{}
	r, err := choose([]string{"20c20bd11a13"})
	if err != nil {
		t.Fatal(err)
	}
	if c.add(&r[0], outcome{run: made}); c.Verdict != FellShort || len(c.Short) != 1 {
		t.Errorf("%+v", c)
	}
}

// TestCalls: a call is told with its time and waits, a refusal with its errno.
func TestCalls(t *testing.T) {
	s := &results.Scenario{Params: map[string]string{"map": "array,array-of-maps", "op": "lookup,lookup-batch,delete-batch"}, Metrics: map[string]results.Metric{
		"calls.array.lookup": {N: 5, P50: 2500}, "calls.array.lookup.waits": {N: 5}, "calls.array.delete-batch.refused": {N: 5, P50: 3000},
		"calls.array-of-maps.lookup-batch": {N: 5, P50: 420e6}, "calls.array-of-maps.lookup-batch.waits": {N: 5, P50: 32, Max: 32},
		"calls.array-of-maps.delete-batch.refused": {N: 5, P50: 15e6}, "calls.array-of-maps.delete-batch.refused.waits": {N: 5, P50: 1, Max: 1},
	}, Trials: []results.Trial{{Findings: []string{"array: lookup; waits of each of 5 calls: 0", "array-of-maps: delete-batch of 32: refused (ENOTSUPP); waits of each of 5 calls: 1"}}}}
	want := "array: lookup 2.50 µs p50 (n = 5); lookup-batch –; delete-batch refused 3.00 µs p50 (n = 5)\n" +
		"array-of-maps: lookup –; lookup-batch 420 ms p50 (n = 5), waits: 32; delete-batch refused (ENOTSUPP) 15.0 ms p50 (n = 5), waits: 1"
	if got := strings.ReplaceAll(calls(s), "\u00a0", " "); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestKernelsOf: where no kernel is named a row is run on the usual ones, or on those
// that its figures change between; named ones are taken for all rows.
func TestKernelsOf(t *testing.T) {
	chosen, err := choose([]string{"ff34657aa72a", "f4d0525921", "56f668dfe0", "25763b3c86"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := kernelsOf(chosen, nil), []string{"5.10", "6.1", "6.12", "6.18", "6.19", "7.0", "7.1", "7.2"}; !slices.Equal(got, want) {
		t.Errorf("all: %q", got)
	}
	ran := map[string]string{}
	do := func(_ context.Context, s Scenario, kernel string) (*results.Run, error) {
		ran[s.Name] += " " + kernel
		return made(kernel, nil), nil
	}
	if _, err := makeTable(t.Context(), chosen, nil, do); err != nil {
		t.Error(err)
	}
	if ran[churnArray] != " 5.10 6.1 6.12 7.2 6.18 6.19" || ran[innerEntries] != " 5.10 6.1 6.12 6.18 7.0 7.1 7.2" {
		t.Errorf("%q", ran)
	}
	clear(ran)
	if _, err := makeTable(t.Context(), chosen, []string{"6.16"}, do); err != nil || ran[churnArray] != " 6.16" || ran[innerEntries] != " 6.16" {
		t.Errorf("%q, %v", ran, err)
	}
	for _, r := range rows {
		if !slices.IsSortedFunc(r.on, func(a, b string) int { return slices.Compare(numbers(a), numbers(b)) }) {
			t.Errorf("%s: %q are in no order", r.commits, r.on)
		}
	}
}
