// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"errors"
	"fmt"
	"math"
	"slices"

	pprof "github.com/google/pprof/profile"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// Run is a run with its profile.
type Run struct {
	Name    string
	Run     *results.Run
	Profile *pprof.Profile
}

// Align returns copies of two profiles that are under the same frames where they are
// the same, see GroupSides. Only samples of scenarios that Compare would match are
// kept. Where a scenario has other numbers of trials on the two sides, the base's
// samples of it count as if it had the candidate's.
func Align(base, candidate Run) (b, c *pprof.Profile, err error) {
	if !slices.EqualFunc(base.Profile.SampleType, candidate.Profile.SampleType, func(a, b *pprof.ValueType) bool { return a.Type == b.Type && a.Unit == b.Unit }) {
		return nil, nil, errors.New("compare profiles: they have different sample types (made by different versions of mapprof?)")
	}
	var found compare.Comparison
	groups := compare.MatchRuns([]compare.Input{{Name: base.Name, Run: base.Run}, {Name: candidate.Name, Run: candidate.Run}}, &found)
	inBase, inCandidate := map[string]float64{}, map[string]float64{}
	var notes []string
	for _, g := range groups {
		bs, cs := g.Variants[0].Scenario, g.Variants[1].Scenario
		// The labels of samples, see Meta.labels.
		bl, cl := safetext.Name(bs.ID), safetext.Name(cs.ID)
		nb, nc := len(bs.Trials), len(cs.Trials)
		if _, twice := inCandidate[cl]; twice || nb == 0 || nc == 0 {
			notes = append(notes, fmt.Sprintf("left out: %s: %s", safetext.Name(base.Name), bl))
			continue
		}
		inBase[bl], inCandidate[cl] = float64(nc)/float64(nb), 1
		if nb != nc {
			notes = append(notes, fmt.Sprintf("the baseline's %d trials of %s count as %d", nb, bl, nc))
		}
	}
	if len(inBase) == 0 {
		return nil, nil, fmt.Errorf("compare profiles: %w", compare.ErrNothingMatched)
	}
	for _, u := range found.Unmatched {
		notes = append(notes, "left out: "+safetext.Text(u))
	}
	bs, cs, grouped := GroupSides([]*pprof.Profile{scaledCopy(base.Profile, inBase)}, []*pprof.Profile{scaledCopy(candidate.Profile, inCandidate)})
	notes = append(notes, grouped...)
	b, c = bs[0], cs[0]
	b.Comments, c.Comments = notes, slices.Clone(notes)
	return b, c, nil
}

// scaledCopy keeps the samples of the scenarios that have a factor.
func scaledCopy(p *pprof.Profile, factors map[string]float64) *pprof.Profile {
	p = p.Copy()
	p.Sample = slices.DeleteFunc(p.Sample, func(s *pprof.Sample) bool {
		factor, ok := 0.0, false
		if id := s.Label["scenario"]; len(id) == 1 {
			factor, ok = factors[id[0]]
		}
		if ok && factor != 1 {
			for i, v := range s.Value {
				s.Value[i] = int64(math.Round(float64(v) * factor))
			}
		}
		return !ok
	})
	return p
}

// Diff returns candidate − base of what Align keeps: negative
// where the candidate is cheaper. The sources are left as they are.
//
// The labels that name the scenario and the kernel are dropped: with them nothing
// would cancel out between two kernels.
func Diff(base, candidate Run) (*pprof.Profile, error) {
	b, c, err := Align(base, candidate)
	if err != nil {
		return nil, err
	}
	for _, p := range []*pprof.Profile{b, c} {
		p.RemoveLabel("scenario")
		p.RemoveLabel(groupKernel.label)
	}
	b.Scale(-1)
	diff, err := Merge([]*pprof.Profile{c, b})
	if err != nil {
		return nil, err
	}
	diff.Comments = append([]string{"difference: candidate − baseline, negative where the candidate is cheaper"}, c.Comments...)
	diff.TimeNanos, diff.DurationNanos = c.TimeNanos, c.DurationNanos
	return diff, nil
}
