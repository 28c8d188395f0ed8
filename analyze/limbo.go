// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"cmp"
	"slices"

	"github.com/mapprof/mapprof/results"
)

// MaxTimelinePoints is how many points a trial's timeline has at most.
const MaxTimelinePoints = 256

// Span is one map's time in limbo: from PutNS until just before EndNS.
type Span struct {
	PutNS, EndNS int64
	Bytes        uint64
}

// SpansOf returns the spans of deaths, and those of pending ones up to atNS,
// the moment to which they were watched.
func SpansOf(deaths, pending []results.Death, atNS int64) []Span {
	out := make([]Span, 0, len(deaths)+len(pending))
	for i := range deaths {
		out = append(out, Span{deaths[i].PutNS, deaths[i].FreedNS, deaths[i].MemBytes})
	}
	for i := range pending {
		out = append(out, Span{pending[i].PutNS, atNS, pending[i].MemBytes})
	}
	return out
}

type limboStep struct {
	at    int64
	bytes uint64
	put   bool
}

// LimboOf returns how much memory was in limbo at most and in all, and how it
// went over time. A map that leaves at the moment another one comes was never
// there together with it. A span that ends before it begins counts for
// nothing.
//
// The timeline begins at the first put. While there are at most
// MaxTimelinePoints moments at which something changed, it has each of them;
// otherwise that many intervals of one length, each with its maximum.
func LimboOf(spans []Span) (results.Limbo, []results.LimboPoint) {
	var limbo results.Limbo
	var held ByteTime
	steps := make([]limboStep, 0, 2*len(spans))
	for _, s := range spans {
		if s.EndNS <= s.PutNS {
			continue
		}
		held.Add(s.Bytes, s.EndNS-s.PutNS)
		steps = append(steps, limboStep{s.PutNS, s.Bytes, true}, limboStep{s.EndNS, s.Bytes, false})
	}
	if len(steps) == 0 {
		return limbo, nil
	}
	slices.SortFunc(steps, func(a, b limboStep) int { return cmp.Compare(a.at, b.at) })

	first, last := steps[0].at, steps[len(steps)-1].at
	line := newTimeline(last-first, moments(steps))
	var now results.LimboPoint
	for i := 0; i < len(steps); {
		at := steps[i].at
		for ; i < len(steps) && steps[i].at == at; i++ {
			if s := steps[i]; s.put {
				now.Bytes += s.bytes
				now.Maps++
			} else {
				now.Bytes -= s.bytes
				now.Maps--
			}
		}
		limbo.PeakBytes = max(limbo.PeakBytes, now.Bytes)
		limbo.PeakMaps = max(limbo.PeakMaps, now.Maps)
		now.AtNS = at - first
		line.add(now)
	}
	limbo.ByteSeconds = held.seconds()
	return limbo, line.points
}

func moments(steps []limboStep) int {
	n := 0
	for i := range steps {
		if i == 0 || steps[i].at != steps[i-1].at {
			n++
		}
	}
	return n
}

// timeline thins a series of levels out, each of which holds until the next.
type timeline struct {
	width  int64 // of an interval; 0: every point is kept
	points []results.LimboPoint
	level  results.LimboPoint
}

func newTimeline(length int64, moments int) *timeline {
	t := &timeline{}
	if moments > MaxTimelinePoints {
		t.width = length/MaxTimelinePoints + 1
	}
	return t
}

func (t *timeline) add(p results.LimboPoint) {
	if t.width == 0 {
		t.points = append(t.points, p)
		return
	}
	ix := int(p.AtNS / t.width)
	// An interval begins with the level that the one before ended with.
	for len(t.points) <= ix {
		start := t.level
		start.AtNS = int64(len(t.points)) * t.width
		if start.AtNS == p.AtNS {
			start = p
		}
		t.points = append(t.points, start)
	}
	cur := &t.points[ix]
	cur.Bytes, cur.Maps = max(cur.Bytes, p.Bytes), max(cur.Maps, p.Maps)
	t.level = p
}
