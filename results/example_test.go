// SPDX-License-Identifier: Apache-2.0

package results_test

import (
	"fmt"
	"log"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/results"
)

// A run that an early version wrote.
const fixture = "../cmd/mapprof/testdata/v0/churn"

// Print how long maps stayed in memory, by strategy. A scenario without deaths
// has no such phase: no data is not zero.
func ExampleOpen() {
	dir, err := results.Open(fixture)
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range dir.Run.Scenarios {
		limbo, ok := s.Phases[results.PhaseLimbo]
		if !ok {
			fmt.Printf("%s: no deaths\n", s.Strategy.Requested)
			continue
		}
		fmt.Printf("%s: p99 of %d deaths %v\n", s.Strategy.Requested, limbo.N, time.Duration(limbo.P99NS).Round(time.Microsecond))
	}
	// Output:
	// rcu: p99 of 40 deaths 23.653ms
	// tasks-trace: p99 of 40 deaths 271.703ms
}

// Take any quantile from the histograms: here p75 of limbo, by trial.
func ExampleDir_EachHistogram() {
	dir, err := results.Open(fixture)
	if err != nil {
		log.Fatal(err)
	}
	err = dir.EachHistogram(func(h *hdrhistogram.Histogram) error {
		scenario, trial, phase, err := results.ParseTag(h.Tag())
		if err != nil || phase != results.PhaseLimbo {
			return err
		}
		p75 := time.Duration(h.ValueAtQuantile(75))
		fmt.Printf("%s, trial %d: %v\n", dir.Run.Find(scenario).Strategy.Requested, trial, p75.Round(time.Microsecond))
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// rcu, trial 0: 16.425ms
	// tasks-trace, trial 0: 191.758ms
	// rcu, trial 1: 15.458ms
	// tasks-trace, trial 1: 190.71ms
}

// Walk the deaths one by one, which takes no more memory than one of them.
// Find the longest, and the stages that it went through.
func ExampleDir_Deaths() {
	dir, err := results.Open(fixture)
	if err != nil {
		log.Fatal(err)
	}
	var longest results.Death
	n := 0
	err = dir.Deaths(func(d *results.Death) error {
		n++
		if d.FreedNS-d.PutNS > longest.FreedNS-longest.PutNS {
			longest = *d
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("longest of %d deaths: %s, path %s\n", n, longest.MapType, longest.Path)
	for i, ns := range longest.EachPhase {
		fmt.Printf("  %-14s %v\n", results.PhaseAt(i).Name, time.Duration(ns).Round(time.Microsecond))
	}
	// Output:
	// longest of 80 deaths: Array, path tasks-trace
	//   enqueue        11µs
	//   tasks_trace_gp 271.525ms
	//   queue          84µs
	//   free           83µs
	//   limbo          271.703ms
}
