// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"strconv"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/results"
)

// Figures head the columns of quantiles, in tables of up to so many values. One
// value has no distribution: it is one figure.
func Figures(most uint64) []string {
	if most == 1 {
		return []string{"value"}
	}
	return []string{"p50", "p90", "p99", "max"}
}

// MostValues is the largest number of values that one of the phases has.
func MostValues(phases []string, scenarios ...*results.Scenario) (most uint64) {
	for _, s := range scenarios {
		for _, p := range phases {
			most = max(most, s.Phases[p].N)
		}
	}
	return most
}

// DurationCells are a phase's p50, p90, p99 and maximum, or its only value; empty
// where there is no phase.
func DurationCells(s results.Stats, present bool) []string {
	switch {
	case !present:
		return []string{"", "", "", ""}
	case s.N == 0:
		return []string{None, None, None, None}
	case s.N == 1:
		return []string{FormatDuration(float64(s.MaxNS)), None, None, None}
	}
	out := make([]string, 0, 4)
	for _, v := range []int64{s.P50NS, s.P90NS, s.P99NS, s.MaxNS} {
		out = append(out, FormatDuration(float64(v)))
	}
	return out
}

// ShareCell is a phase's share of limbo; empty where there is no phase.
func ShareCell(s *results.Scenario, phase string) string {
	if _, ok := s.Phases[phase]; !ok {
		return ""
	}
	share, ok := analyze.Share(s.Phases, phase)
	if !ok {
		return None
	}
	return FormatShare(share)
}

// CountCell is a number of things; empty where there is nothing to count.
func CountCell(n uint64, present bool) string {
	if !present {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// ExpeditedNote says of a scenario's update waits how many were, if any.
func ExpeditedNote(s *results.Scenario) string {
	n := uint64(0)
	for _, t := range s.Trials {
		n += t.Expedited
	}
	switch n {
	case 0:
		return ""
	case s.Phases[results.PhaseUpdateWait].N:
		return " (expedited)"
	}
	return fmt.Sprintf(" (%d expedited)", n)
}
