// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"maps"
	"slices"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// notEvidence lists why a run proves nothing.
func notEvidence(in compare.Input, p Policy) []string {
	var out []string
	say := func(format string, args ...any) {
		out = append(out, safetext.Name(in.Name)+": "+fmt.Sprintf(format, args...))
	}
	if in.Run.Partial {
		say("the run is partial: %s", safetext.Text(compare.OrNone(in.Run.PartialReason)))
	}
	if len(in.Run.Scenarios) == 0 {
		say("the run has no scenarios")
	}
	if text, tooMany := reboots(in); tooMany {
		out = append(out, text+": too many for chance")
	}
	for i := range in.Run.Scenarios {
		s := &in.Run.Scenarios[i]
		whole := len(compare.WholeTrials(s))
		if whole == 0 {
			say("%s has no whole trial", safetext.Name(s.ID))
		}
		if n := len(s.Trials) - whole; n > 0 {
			say("%s: %d of %d trials are partial", safetext.Name(s.ID), n, len(s.Trials))
		}
		for _, gap := range missingData(s) {
			say("%s: %s", safetext.Name(s.ID), gap)
		}
		var puts, pending uint64
		for _, t := range s.Trials {
			if err := t.Balance(); err != nil {
				say("%s: %v", safetext.Name(s.ID), err)
			}
			if t.Puts != t.Expected {
				say("%s trial %d: %d last references were dropped, %d were seen", safetext.Name(s.ID), t.Index, t.Expected, t.Puts)
			}
			if !t.Rate.Kept() {
				say("%s trial %d: %.4g operations a second were asked for, %.4g were achieved, less than %.0f %% of them",
					safetext.Name(s.ID), t.Index, t.Rate.AskedPerSecond, t.Rate.AchievedPerSecond, 100*results.KeptRate)
			}
			puts += t.Puts
			if t.Pending != nil {
				pending += t.Pending.N
			}
		}
		for _, text := range tooMuchLost(s, p.MaxLoss) {
			say("%s %s", safetext.Name(s.ID), text)
		}
		if share := float64(pending) / float64(max(1, puts)); share > float64(p.MaxPending) {
			say("%s: %d of %d deaths were still pending, above the limit of %.3g %%", safetext.Name(s.ID), pending, puts, 100*float64(p.MaxPending))
		}
	}
	return out
}

// missingData says what a scenario must have had and no longer has: its trials
// are numbered from 0, and its counts are the sums over them.
func missingData(s *results.Scenario) []string {
	var out []string
	seen := map[int]bool{}
	paths, loss := map[string]uint64{}, map[string]uint64{}
	for _, t := range s.Trials {
		seen[t.Index] = true
		analyze.AddCounts(paths, t.Paths)
		analyze.AddCounts(loss, t.Loss)
	}
	for i := range s.Trials {
		if !seen[i] {
			out = append(out, fmt.Sprintf("its %d trials are not numbers 0 to %d", len(s.Trials), len(s.Trials)-1))
			break
		}
	}
	total := func(what string, n, sum uint64) {
		if n != sum {
			out = append(out, fmt.Sprintf("it counts %d %s, its trials %d", n, what, sum))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(s.Strategy.Paths)) {
		total("deaths by path "+safetext.Name(path), s.Strategy.Paths[path], paths[path])
	}
	for _, kind := range slices.Sorted(maps.Keys(s.Loss)) {
		total("lost by "+safetext.Name(kind), s.Loss[kind], loss[kind])
	}
	for _, m := range s.Miscounts() {
		total("values of "+safetext.Name(m.Name), m.N, m.Sum)
	}
	return out
}
