// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"errors"
	"fmt"
	"math"
	"slices"

	pprof "github.com/google/pprof/profile"

	"github.com/mapprof/mapprof/results"
)

// ProfiledRun is a run with its profile.
type ProfiledRun struct {
	Name    string
	Run     *results.Run
	Profile *pprof.Profile
}

// AlignProfiles returns copies of two profiles that cancel out where they are
// the same. Only samples of scenarios that Compare would match are kept. Where
// a scenario has other numbers of trials on the two sides, the base's samples
// of it count as if it had the candidate's.
//
// Offsets in functions and the labels that name the scenario and the kernel
// are dropped: they differ between builds.
func AlignProfiles(base, candidate ProfiledRun) (b, c *pprof.Profile, err error) {
	if !slices.EqualFunc(base.Profile.SampleType, candidate.Profile.SampleType, func(a, b *pprof.ValueType) bool { return a.Type == b.Type && a.Unit == b.Unit }) {
		return nil, nil, errors.New("compare profiles: they have different sample types (made by different versions of mapprof?)")
	}
	var found Comparison
	groups := matchRuns([]Input{{base.Name, base.Run}, {candidate.Name, candidate.Run}}, &found)
	inBase, inCandidate := map[string]float64{}, map[string]float64{}
	var notes []string
	for _, g := range groups {
		bs, cs := g.variants[0].scenario, g.variants[1].scenario
		// The labels of samples, see ProfileMeta.labels.
		bl, cl := SafeName(bs.ID), SafeName(cs.ID)
		nb, nc := len(bs.Trials), len(cs.Trials)
		if _, twice := inCandidate[cl]; twice || nb == 0 || nc == 0 {
			notes = append(notes, fmt.Sprintf("left out: %s: %s", SafeName(base.Name), bl))
			continue
		}
		inBase[bl], inCandidate[cl] = float64(nc)/float64(nb), 1
		if nb != nc {
			notes = append(notes, fmt.Sprintf("the baseline's %d trials of %s count as %d", nb, bl, nc))
		}
	}
	if len(inBase) == 0 {
		return nil, nil, fmt.Errorf("compare profiles: %w", ErrNothingMatched)
	}
	for _, u := range found.Unmatched {
		notes = append(notes, "left out: "+SafeText(u))
	}
	b, c = scaledCopy(base.Profile, inBase), scaledCopy(candidate.Profile, inCandidate)
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
	for _, l := range p.Location {
		l.Address = 0
	}
	p.RemoveLabel("scenario")
	p.RemoveLabel("kernel")
	return p
}

// DiffProfiles returns candidate − base of what AlignProfiles keeps: negative
// where the candidate is cheaper. The sources are left as they are.
func DiffProfiles(base, candidate ProfiledRun) (*pprof.Profile, error) {
	b, c, err := AlignProfiles(base, candidate)
	if err != nil {
		return nil, err
	}
	b.Scale(-1)
	diff, err := MergeProfiles([]*pprof.Profile{c, b})
	if err != nil {
		return nil, err
	}
	diff.Comments = append([]string{"difference: candidate − baseline, negative where the candidate is cheaper"}, c.Comments...)
	diff.TimeNanos, diff.DurationNanos = c.TimeNanos, c.DurationNanos
	return diff, nil
}
