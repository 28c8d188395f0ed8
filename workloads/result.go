// SPDX-License-Identifier: Apache-2.0

package workloads

import "time"

// Result is what an instance did.
type Result struct {
	Ops uint64
	// LastPuts is how many watched maps lost their last reference.
	LastPuts uint64
	// Loop is "open" or "closed".
	Loop string
	// AskedRate and AchievedRate are operations a second of an open loop; 0 in a
	// closed one.
	AskedRate, AchievedRate float64
	// OuterBytes is the memory of the outer map itself, without the maps in it;
	// 0: there is none.
	OuterBytes uint64
	// Interrupted says that ctx ended it before its count or duration.
	Interrupted bool
	// Metrics are the figures that are no operation's latency, by name; a
	// name has no comma and no space.
	Metrics map[string]Metric
	// HeldUntilNS is when the reader that --hold-reader holds for each
	// operation left its section, in nanoseconds of CLOCK_MONOTONIC; 0: there
	// was none.
	HeldUntilNS []int64
	// Failures are what the workload found to be wrong with the kernel, one
	// line each: the run fails, and its figures are kept.
	Failures []string
	// Findings are what it found to be so, one line each.
	Findings []string
	// Warnings say what its figures can't be trusted for.
	Warnings []string
	// Command is how the program ended that was run; nil: there was none.
	Command *CommandEnd
}

// Metric holds the single values of a figure, in the order measured.
type Metric struct {
	Values []float64
	// Unit is "ns/op", "ns", "bytes", or what else the values are.
	Unit string
	// How says how it was measured, where that needs saying.
	How string
	// Difference says that it is one of two measurements, which noise can make
	// negative.
	Difference bool
	// Began and Ended are when it was measured; zero: in the whole of Run.
	Began, Ended time.Time
}

// Add keeps the values of a metric, of which there may be none.
func (r *Result) Add(name, unit, how string, values []float64) {
	if len(values) > 0 {
		r.Metrics[name] = Metric{Values: values, Unit: unit, How: how}
	}
}
