// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/internal/golden"
	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/results"
)

func TestWriteTable(t *testing.T) {
	mismatch := fixture.TasksTrace("6.1.0-192-cloud-amd64")
	mismatch.ID, mismatch.Strategy.Requested = "churn-6.1-rcu", "rcu"
	mismatch.Strategy.Paths = map[string]uint64{"tasks-trace+rcu": 300}
	mismatch.Phases["rcu_gp"] = fixture.Stats(300, 13_900*fixture.Microsecond, 18*fixture.Millisecond, 21*fixture.Millisecond, 22*fixture.Millisecond, 4_100*fixture.Millisecond)
	mismatch.Phases["tasks_trace_gp"] = fixture.Stats(300, 144*fixture.Millisecond, 224*fixture.Millisecond, 275*fixture.Millisecond, 291*fixture.Millisecond, 42_900*fixture.Millisecond)

	lossy := fixture.RCU(fixture.Kernel612)
	lossy.Loss = map[string]uint64{"ring_full": 3, "table_full": 0}
	lossy.Trials[0].Loss = lossy.Loss
	lossy.Trials[0].Puts, lossy.Trials[0].Lost, lossy.Trials[0].InFlight = 305, 3, 2
	lossy.Trials[0].Pending = &results.Pending{N: 2, MinNS: 1_200 * fixture.Millisecond, MaxNS: 3 * fixture.Second}
	lossy.Trials[0].Warnings = []string{"the guest's clock jumped"}
	partial := fixture.NewRun(lossy)
	partial.Partial, partial.PartialReason = true, "interrupted after 1 of 3 trials"
	partial.Warnings = []string{"no KVM here: the kernel ran under software emulation, where times are longer than on hardware"}

	slow := fixture.RCU(fixture.Kernel612)
	slow.Loop, slow.Params["rate"] = "open", "200"
	slow.Trials[0].Rate = &results.Rate{AskedPerSecond: 200, AchievedPerSecond: 35.13}
	slow.Trials[0].Warnings = []string{"asked for 200 operations a second, achieved 35.13"}

	empty := fixture.Scenario(fixture.Kernel612, "rcu", "", "rcu", map[string]results.Stats{"limbo": {}, "update_wait": {}})

	unbalanced := fixture.RCU(fixture.Kernel612)
	unbalanced.Trials[0].Freed--
	unbalanced.Metrics = map[string]results.Metric{
		"lookup cost": {N: 1000, Unit: "ns/op", P50: 31.25, P90: 40, P99: 99, Max: 1234},
		"zeroing":     {N: 0, Unit: "bytes"},
		"probe cost":  {N: 5, Unit: "instructions/op", P50: 387.2, P90: 388, P99: 390, Max: 1000},
	}

	mixed := fixture.TasksTrace(fixture.Kernel612)
	mixed.Strategy.Paths = map[string]uint64{"tasks-trace": 290, "immediate": 10}
	mixed.Phases["enqueue"] = fixture.Stats(290, 1_180, 2_010, 9_100, 29_400, 402_000)

	evil := fixture.RCU(fixture.Kernel612)
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
		{"two_strategies_100", fixture.NewRun(fixture.RCU(fixture.Kernel612), fixture.TasksTrace(fixture.Kernel612)), Options{Dir: "mapprof-20260504-030201"}},
		{"two_strategies_80", fixture.NewRun(fixture.RCU(fixture.Kernel612), fixture.TasksTrace(fixture.Kernel612)), Options{Width: 80, Dir: "/tmp/two words/it's"}},
		{"two_strategies_60", fixture.NewRun(fixture.RCU(fixture.Kernel612), fixture.TasksTrace(fixture.Kernel612)), Options{Width: 60}},
		{"two_strategies_color", fixture.NewRun(fixture.RCU(fixture.Kernel612), fixture.TasksTrace(fixture.Kernel612)), Options{Color: true}},
		{"four_strategies_100", fixture.NewRun(fixture.Immediate(fixture.Kernel612), fixture.RCU(fixture.Kernel612), fixture.TasksTrace(fixture.Kernel612), fixture.Sync(fixture.Kernel612)), Options{}},
		{"four_strategies_200", fixture.NewRun(fixture.Immediate(fixture.Kernel612), fixture.RCU(fixture.Kernel612), fixture.TasksTrace(fixture.Kernel612), fixture.Sync(fixture.Kernel612)), Options{Width: 200}},
		{"one_strategy", fixture.NewRun(fixture.RCU(fixture.Kernel612)), Options{}},
		{"two_kernels_mismatch", fixture.NewRun(mismatch, fixture.RCU(fixture.Kernel612), fixture.TasksTrace(fixture.Kernel612)), Options{}},
		{"partial_loss_pending", partial, Options{}},
		{"rate_not_kept", fixture.NewRun(slow), Options{}},
		{"empty", fixture.NewRun(empty), Options{}},
		{"unbalanced_metrics", fixture.NewRun(unbalanced), Options{}},
		{"mixed_paths", fixture.NewRun(fixture.RCU(fixture.Kernel612), mixed), Options{}},
		{"evil_names", fixture.NewRun(evil), Options{Dir: "\x1b[2Jdir"}},
		{"no_scenario", &results.Run{}, Options{}},
		{"lookup_two_kernels", fixture.NewRun(fixture.Lookups(fixture.Kernel612, "ns"), fixture.Lookups("7.2.12+deb13-cloud-amd64", "ns")), Options{Dir: "run"}},
		{"lookup_instructions_60", fixture.NewRun(fixture.Lookups(fixture.Kernel612, "instructions")), Options{Width: 60}},
		{"lookup_two_kernels_70", fixture.NewRun(fixture.Lookups(fixture.Kernel612, "ns"), fixture.Lookups("7.2.12+deb13-cloud-amd64", "ns")), Options{Width: 70}},
		{"lookup_interrupted", fixture.InterruptedLookups(), Options{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var buf bytes.Buffer
			if err := WriteTable(&buf, c.run, c.o); err != nil {
				t.Fatal(err)
			}
			fixture.CheckText(t, buf.String(), c.o.Width, c.o.Color)
			golden.Check(t, filepath.Join("testdata", c.name+".golden"), buf.String())
		})
	}
}

func TestExpeditedWaitsAreSaid(t *testing.T) {
	for n, want := range map[uint64]string{0: "update_wait   ", 12: "update_wait (12 expedited)", 300: "update_wait (expedited)"} {
		s := fixture.Scenario(fixture.Kernel612, "rcu", "", "rcu", map[string]results.Stats{"limbo": fixture.Stats(300, 1, 2, 3, 4, 5), "update_wait": fixture.Stats(300, 1, 2, 3, 4, 5)})
		s.Trials[0].Expedited = n
		var text bytes.Buffer
		if err := WriteTable(&text, fixture.NewRun(s), Options{}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text.String(), want) {
			t.Errorf("%d of 300 expedited, the table doesn't say %q:\n%s", n, want, text.String())
		}
	}
}

// Two kernels of one release each have their table, and their names differ.
func TestTwoKernelsOfOneRelease(t *testing.T) {
	var table bytes.Buffer
	if err := WriteTable(&table, fixture.TwoKernelsOfOneRelease(), Options{Width: 120}); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(table.String()), " ")
	for _, want := range []string{fixture.Kernel612 + ": a freed map stays", fixture.Kernel612 + "#2: a freed map stays", fixture.Kernel612 + ": a lookup costs", fixture.Kernel612 + "#2: a lookup costs"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, &table)
		}
	}
}
