// SPDX-License-Identifier: Apache-2.0

package model

import (
	"slices"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/results"
)

// PhaseText says in words what a phase is; empty: it isn't known.
func PhaseText(name string) string {
	p, _ := results.PhaseNamed(name)
	return p.Sentence
}

// PhaseNoun names a phase within a sentence.
func PhaseNoun(name string) string {
	if p, ok := results.PhaseNamed(name); ok {
		return p.Noun
	}
	return name
}

// ColoredPhases are the phases that have a colour of their own.
func ColoredPhases() []results.Phase {
	return slices.DeleteFunc(results.Phases(), func(p results.Phase) bool { return p.Color == results.Color{} })
}

// PhaseClass is the CSS class of a phase's colour; empty: it has none.
func PhaseClass(name string) string {
	if p, ok := results.PhaseNamed(name); ok && p.Color != (results.Color{}) {
		return "ph-" + p.Name
	}
	return ""
}

// LongestPhase returns the phase with the greatest share of limbo.
func LongestPhase(phases map[string]results.Stats) (phase string, share float64) {
	for _, p := range results.DeathPhases() {
		if s, ok := analyze.Share(phases, p); ok && s > share {
			phase, share = p, s
		}
	}
	return phase, share
}
