// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"fmt"
	"slices"

	"github.com/google/pprof/profile"
)

// DiffProfiles returns candidate − base: negative where the candidate is
// cheaper. With other numbers of trials on the two sides, the base counts as
// if it had the candidate's. The sources are left as they are.
//
// Offsets in functions and the labels that name the scenario and the kernel
// are dropped, since they differ between builds and would keep what is the
// same from cancelling out.
func DiffProfiles(base, candidate *profile.Profile, baseTrials, candidateTrials int) (*profile.Profile, error) {
	if baseTrials < 1 || candidateTrials < 1 {
		return nil, fmt.Errorf("diff profiles: %d and %d trials", baseTrials, candidateTrials)
	}
	if !slices.EqualFunc(base.SampleType, candidate.SampleType, func(a, b *profile.ValueType) bool { return *a == *b }) {
		return nil, fmt.Errorf("diff profiles: they have different sample types (made by different versions of mapprof?)")
	}
	base, candidate = plainCopy(base), plainCopy(candidate)
	base.Scale(-float64(candidateTrials) / float64(baseTrials))
	diff, err := MergeProfiles([]*profile.Profile{candidate, base})
	if err != nil {
		return nil, err
	}
	diff.Comments = []string{"difference: candidate − baseline, negative where the candidate is cheaper"}
	if baseTrials != candidateTrials {
		diff.Comments = append(diff.Comments, fmt.Sprintf("the baseline's %d trials count as %d", baseTrials, candidateTrials))
	}
	diff.TimeNanos, diff.DurationNanos = candidate.TimeNanos, candidate.DurationNanos
	return diff, nil
}

func plainCopy(p *profile.Profile) *profile.Profile {
	p = p.Copy()
	for _, l := range p.Location {
		l.Address = 0
	}
	p.RemoveLabel("scenario")
	p.RemoveLabel("kernel")
	return p
}
