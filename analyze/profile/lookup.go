// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"fmt"
	"slices"
	"strings"

	pprof "github.com/google/pprof/profile"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// LookupCost is what one path's lookups took in the kernel, in total.
type LookupCost struct {
	Scenario string
	Path     string // of the workload: the outermost frame
	Function string // the kernel's
	Lookups  uint64
	SumNS    int64
	// Stack are the callers, innermost first; empty where none were kept.
	Stack []results.Frame
}

// Sample types of a profile of lookups.
const (
	SampleLookups    = "lookups"
	SampleLookupTime = "lookup_time"
)

// OfLookups makes a pprof profile of lookups: one sample per path and
// stack, with the number of lookups and the time in the kernel's function.
func OfLookups(costs []LookupCost, meta Meta) (*pprof.Profile, error) {
	p := &pprof.Profile{
		SampleType: []*pprof.ValueType{
			{Type: SampleLookups, Unit: "count"}, {Type: SampleLookupTime, Unit: "nanoseconds"},
		},
		DefaultSampleType: SampleLookupTime,
		PeriodType:        &pprof.ValueType{Type: SampleLookups, Unit: "count"},
		Period:            1,
		DurationNanos:     max(0, meta.Duration.Nanoseconds()),
	}
	if !meta.Started.IsZero() {
		p.TimeNanos = meta.Started.UnixNano()
	}
	for _, c := range meta.Comments {
		// Of a run without deaths.
		if !strings.HasPrefix(c, "deaths:") && !strings.HasPrefix(c, "limbo ") {
			p.Comments = append(p.Comments, safetext.Text(c))
		}
	}
	p.Comments = append(p.Comments, "lookup_time was measured by path; among several stacks it is shared out by their lookups")
	stacks := map[string][]results.Frame{}
	for i, c := range costs {
		frames := c.Stack
		if len(frames) == 0 || frames[0].Function != c.Function {
			frames = append([]results.Frame{{Function: c.Function}}, frames...)
		}
		stacks[fmt.Sprint(i)] = append(slices.Clone(frames), results.Frame{Function: "[path] " + c.Path})
	}
	l := newLocations(p)
	for i, c := range costs {
		p.Sample = append(p.Sample, &pprof.Sample{
			Location: l.stack(fmt.Sprint(i), stacks),
			Value:    []int64{int64(c.Lookups), c.SumNS},
			Label:    meta.labels(groupKey{scenario: c.Scenario}),
		})
	}
	if err := p.CheckValid(); err != nil {
		return nil, fmt.Errorf("build profile of lookups: %w", err)
	}
	return p, nil
}
