// SPDX-License-Identifier: Apache-2.0

package report

import (
	"github.com/mapprof/mapprof/results"
)

// stats are those of n values; the least is half of the median.
func stats(n uint64, p50, p90, p99, most, sum int64) results.Stats {
	return results.Stats{N: n, P50NS: p50, P90NS: p90, P99NS: p99, MinNS: p50 / 2, MaxNS: most, SumNS: sum, MeanNS: float64(sum) / float64(max(n, 1))}
}

// In nanoseconds.
const (
	microsecond = 1_000
	millisecond = 1_000_000
	second      = 1_000_000_000
)

// scenario is a churn of inner maps with one trial, all of whose puts were freed.
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

// rcu is a scenario that waits for an RCU grace period.
func rcu(kernel string) results.Scenario {
	return scenario(kernel, "rcu", "rcu", "rcu", map[string]results.Stats{
		"enqueue":     stats(300, 1_210, 2_050, 9_990, 31_400, 412_000),
		"rcu_gp":      stats(300, 14_400*microsecond, 19_600*microsecond, 22_800*microsecond, 23_900*microsecond, 4_320*millisecond),
		"queue":       stats(300, 121*microsecond, 402*microsecond, 999_600, 1_230*microsecond, 48*millisecond),
		"free":        stats(300, 9_870, 14_200, 41_000, 99_950, 3_200*microsecond),
		"limbo":       stats(300, 14_600*microsecond, 19_900*microsecond, 23*millisecond, 24_100*microsecond, 4_371_612*microsecond),
		"update_wait": stats(300, 15_500*microsecond, 21*millisecond, 44*millisecond, 47_900*microsecond, 4_650*millisecond),
		"op":          stats(300, 15_600*microsecond, 21*millisecond, 44*millisecond, 48*millisecond, 4_680*millisecond),
	})
}

// tasksTrace is one that waits for a tasks-trace grace period.
func tasksTrace(kernel string) results.Scenario {
	sc := scenario(kernel, "tasks-trace", "tasks-trace", "tasks-trace", map[string]results.Stats{
		"enqueue":        stats(300, 1_180, 2_010, 9_100, 29_400, 402_000),
		"tasks_trace_gp": stats(300, 158*millisecond, 242*millisecond, 295*millisecond, 311*millisecond, 47_000*millisecond),
		"queue":          stats(300, 118*microsecond, 392*microsecond, 801*microsecond, 1_030*microsecond, 46*millisecond),
		"free":           stats(300, 9_770, 14_100, 40_000, 98_000, 3_100*microsecond),
		"limbo":          stats(300, 160*millisecond, 244*millisecond, 298*millisecond, 313*millisecond, 47_049_502*microsecond),
		"update_wait":    stats(300, 15_200*microsecond, 20*millisecond, 43*millisecond, 47_100*microsecond, 4_610*millisecond),
		"op":             stats(300, 15_300*microsecond, 20*millisecond, 43*millisecond, 47_300*microsecond, 4_640*millisecond),
	})
	sc.Limbo = results.Limbo{PeakBytes: 150 << 10, PeakMaps: 187, ByteSeconds: 38_021.5}
	return sc
}

// immediate is one that waits for nothing but the kworker.
func immediate(kernel string) results.Scenario {
	return scenario(kernel, "immediate", "immediate", "immediate", map[string]results.Stats{
		"queue": stats(300, 25*microsecond, 88*microsecond, 301*microsecond, 1_200*microsecond, 9*millisecond),
		"free":  stats(300, 9_000, 13_000, 38_000, 90_000, 3*millisecond),
		"limbo": stats(300, 35_200, 99*microsecond, 330*microsecond, 1_290*microsecond, 12*millisecond),
		"op":    stats(300, 41*microsecond, 60*microsecond, 99*microsecond, 1*millisecond, 13*millisecond),
	})
}

// syncFree is one whose free waits for a second grace period.
func syncFree(kernel string) results.Scenario {
	return scenario(kernel, "sync", "sync", "rcu+sync", map[string]results.Stats{
		"enqueue": stats(300, 1_210, 2_050, 9_990, 31_400, 412_000),
		"rcu_gp":  stats(300, 14*millisecond, 19*millisecond, 22*millisecond, 23*millisecond, 4_200*millisecond),
		"queue":   stats(300, 121*microsecond, 402*microsecond, 801*microsecond, 1_230*microsecond, 48*millisecond),
		"free":    stats(300, 15*millisecond, 20*millisecond, 25*millisecond, 29*millisecond, 4_500*millisecond),
		"limbo":   stats(300, 29*millisecond, 39*millisecond, 45*millisecond, 51*millisecond, 8_748_412*microsecond),
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

// newRun makes a run of scenarios, with a target for each of their kernels.
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

// k612 is a kernel's release.
const k612 = "6.12.117+deb12-cloud-amd64"

// twoKernelsOfOneRelease has two builds of a kernel, told apart by a number.
func twoKernelsOfOneRelease() *results.Run {
	first, second := rcu(k612), rcu(k612)
	first.ID, second.ID = "churn/"+k612+"/rcu", "churn/"+k612+"#2/rcu"
	lookup1, lookup2 := lookups(k612, "ns"), lookups(k612, "ns")
	lookup2.ID = "lookup/" + k612 + "#2/none"
	return newRun(first, second, lookup1, lookup2)
}
