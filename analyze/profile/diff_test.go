// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"errors"
	"slices"
	"strings"
	"testing"

	pprof "github.com/google/pprof/profile"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/results"
)

// profiledScenario is a scenario of which every trial has ten equal deaths.
type profiledScenario struct {
	kernel, strategy string
	trials           int
	gp               int64
}

// profiled makes a run of scenarios, with its profile. The offset is that of
// the only frame.
func profiled(t *testing.T, name string, offset uint64, scenarios ...profiledScenario) Run {
	t.Helper()
	run := &results.Run{Targets: []results.Target{{Kind: "vm"}}}
	b := NewBuilder()
	for _, s := range scenarios {
		id := "churn-" + s.kernel + "-" + s.strategy
		sc := results.Scenario{ID: id, Workload: "churn", Kernel: s.kernel, Strategy: results.Strategy{Requested: s.strategy}}
		for i := range s.trials {
			sc.Trials = append(sc.Trials, results.Trial{Index: i})
			for range 10 {
				if err := b.Add(&results.Death{Scenario: id, Trial: i, Path: s.strategy, Stack: "s", MapType: "Array", MemBytes: 10,
					PutNS: 1000, EnqueueNS: 1001, RCUEndNS: 1001 + s.gp, FreeNS: 1001 + s.gp, FreedNS: 1002 + s.gp}); err != nil {
					t.Fatal(err)
				}
			}
		}
		run.Scenarios = append(run.Scenarios, sc)
	}
	p, err := b.Build(map[string][]results.Frame{"s": {{Function: "bpf_map_put", Offset: offset}}}, MetaOf(run))
	if err != nil {
		t.Fatal(err)
	}
	return Run{name, run, p}
}

func TestDiffProfiles(t *testing.T) {
	both := []profiledScenario{{"6.1", "rcu", 3, 500}, {"6.1", "tasks-trace", 3, 9000}}
	for _, c := range []struct {
		name            string
		base, candidate []profiledScenario
		limbo           int64
		note            string
	}{
		{"one is cheaper", both[:1], []profiledScenario{{"6.1", "rcu", 3, 100}}, -12000, ""},
		{"another kernel", both[:1], []profiledScenario{{"6.12", "rcu", 3, 100}}, -12000, ""},
		{"equal", both, both, 0, ""},
		{"half as many trials", both[:1], []profiledScenario{{"6.1", "rcu", 6, 500}}, 0, "the baseline's 3 trials of churn-6.1-rcu count as 6"},
		{"not the same in every scenario", both, []profiledScenario{{"6.1", "rcu", 2, 500}, {"6.1", "tasks-trace", 6, 9000}}, 0, "count as 2"},
		{"only in the baseline", both, both[:1], 0, "left out: a: churn-6.1-tasks-trace has no counterpart in b"},
		{"only in the candidate", both[:1], both, 0, "left out: b: churn-6.1-tasks-trace has no counterpart in a"},
		{"without trials", both, []profiledScenario{{"6.1", "rcu", 3, 500}, {"6.1", "tasks-trace", 0, 0}}, 0, "left out: a: churn-6.1-tasks-trace"},
	} {
		base, candidate := profiled(t, "a", 0x10, c.base...), profiled(t, "b", 0x20, c.candidate...)
		before := base.Profile.String()
		d, err := Diff(base, candidate)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := totals(d, nil)[results.PhaseLimbo]; got != c.limbo {
			t.Errorf("%s: %d ns of limbo, want %d", c.name, got, c.limbo)
		}
		// What is alike cancels out, offsets and kernels notwithstanding.
		if c.limbo == 0 && len(d.Sample) != 0 {
			t.Errorf("%s: %d samples: %v", c.name, len(d.Sample), d)
		}
		if c.note != "" && !strings.Contains(strings.Join(d.Comments, "\n"), c.note) {
			t.Errorf("%s: comments %q, want %q", c.name, d.Comments, c.note)
		}
		if base.Profile.String() != before {
			t.Errorf("%s: the source has changed", c.name)
		}
	}
}

func TestDiffProfilesErrors(t *testing.T) {
	one := profiled(t, "a", 0, profiledScenario{"6.1", "rcu", 1, 500})
	for _, other := range []Run{
		profiled(t, "b", 0, profiledScenario{"6.1", "sync", 1, 500}),
		profiled(t, "b", 0, profiledScenario{"6.1", "rcu", 0, 500}),
	} {
		if _, err := Diff(one, other); !errors.Is(err, compare.ErrNothingMatched) {
			t.Errorf("nothing in common: %v", err)
		}
	}
	other := profiled(t, "b", 0, profiledScenario{"6.1", "rcu", 1, 500})
	other.Profile.SampleType = slices.DeleteFunc(other.Profile.SampleType, func(v *pprof.ValueType) bool { return v.Type == SampleDeaths })
	if _, err := Diff(one, other); err == nil || !strings.Contains(err.Error(), "different sample types") {
		t.Errorf("other sample types: %v", err)
	}
}
