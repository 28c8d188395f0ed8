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

// LimboOf returns how much memory was in limbo at most and in all, and how it
// went over time, as a LimboMeter does of spans that are all known.
func LimboOf(spans []Span) (results.Limbo, []results.LimboPoint) {
	var m LimboMeter
	for _, s := range spans {
		m.Add(s)
	}
	return m.Finish()
}

// LimboMeter finds out how much memory was in limbo at most and in all, and how
// it went over time. A map that leaves at the moment another one comes was never
// there together with it. A span that ends before it begins counts for nothing.
//
// Spans come in any order. What it keeps grows with those that were added since
// Advance, and with those that Advance has left open.
//
// The timeline begins at the first put. While there are at most
// MaxTimelinePoints moments at which something changed, it has each of them;
// otherwise intervals of one length, each with its maximum: MaxTimelinePoints of
// them, or where Advance was called from half of that on.
//
// The zero value is ready. It is for one goroutine.
type LimboMeter struct {
	steps []limboStep // that come after the last Advance
	line  *timeline   // nil before anything was taken off steps
	first int64
	now   results.LimboPoint
	limbo results.Limbo
	held  ByteTime
	// to is how far Advance has come, open what it took for not yet ended.
	to   int64
	open map[SpanKey]uint64 // bytes
}

// SpanKey tells open spans apart: one map's memory can't be put twice at once.
type SpanKey struct {
	PutNS int64
	MapID uint32
}

// limboStep is a put or an end. It is small, since they are sorted.
type limboStep struct {
	at    int64
	bytes uint64 // the lowest bit says that it is a put; no map has 2^63
}

func putStep(at int64, bytes uint64) limboStep { return limboStep{at, bytes<<1 | 1} }

func endStep(at int64, bytes uint64) limboStep { return limboStep{at, bytes << 1} }

// Add adds a span that was not open at an Advance.
func (m *LimboMeter) Add(s Span) {
	if s.EndNS <= s.PutNS {
		return
	}
	m.held.Add(s.Bytes, s.EndNS-s.PutNS)
	m.steps = append(m.steps, putStep(s.PutNS, s.Bytes), endStep(s.EndNS, s.Bytes))
}

// Death adds the span of a death, be it open or not.
func (m *LimboMeter) Death(d *results.Death) { m.end(d, d.FreedNS) }

func (m *LimboMeter) end(d *results.Death, at int64) {
	key := SpanKey{d.PutNS, d.MapID}
	if len(m.open) > 0 {
		if bytes, ok := m.open[key]; ok {
			delete(m.open, key)
			m.held.Add(bytes, at-d.PutNS)
			m.steps = append(m.steps, endStep(at, bytes))
			return
		}
	}
	m.Add(Span{d.PutNS, at, d.MemBytes})
}

// Advance says that no span is to come that began before to, but for those of
// pending, which are open. One that was open and has neither ended since nor is
// pending was lost: it is taken to have ended when it was last known of.
func (m *LimboMeter) Advance(to int64, pending []results.Death) {
	if to <= m.to {
		return
	}
	open := make(map[SpanKey]uint64, len(pending))
	for i := range pending {
		d := &pending[i]
		key := SpanKey{d.PutNS, d.MapID}
		if _, known := m.open[key]; known {
			open[key] = d.MemBytes
			delete(m.open, key)
		} else if d.PutNS < to {
			open[key] = d.MemBytes
			m.steps = append(m.steps, putStep(d.PutNS, d.MemBytes))
		}
	}
	m.closeLost()
	m.open = open
	m.take(to)
	m.to = to
}

// closeLost ends the spans that are still in open.
func (m *LimboMeter) closeLost() {
	for key, bytes := range m.open {
		m.held.Add(bytes, max(0, m.to-key.PutNS))
		m.steps = append(m.steps, endStep(m.to, bytes))
	}
	clear(m.open)
}

// take takes the steps before to, in their order.
func (m *LimboMeter) take(to int64) {
	slices.SortFunc(m.steps, func(a, b limboStep) int { return cmp.Compare(a.at, b.at) })
	n, _ := slices.BinarySearchFunc(m.steps, to, func(s limboStep, to int64) int { return cmp.Compare(s.at, to) })
	steps := m.steps[:n]
	if n == 0 {
		return
	}
	if m.line == nil {
		m.first = steps[0].at
		m.line = newTimeline(steps[n-1].at-m.first, moments(steps))
	}
	for i := 0; i < len(steps); {
		at := max(steps[i].at, m.first+m.now.AtNS)
		for ; i < len(steps) && steps[i].at <= at; i++ {
			if s := steps[i]; s.bytes&1 != 0 {
				m.now.Bytes += s.bytes >> 1
				m.now.Maps++
			} else {
				m.now.Bytes -= s.bytes >> 1
				m.now.Maps--
			}
		}
		m.limbo.PeakBytes = max(m.limbo.PeakBytes, m.now.Bytes)
		m.limbo.PeakMaps = max(m.limbo.PeakMaps, m.now.Maps)
		m.now.AtNS = at - m.first
		m.line.add(m.now)
	}
	m.steps = m.steps[:copy(m.steps, m.steps[n:])]
}

// FinishAt ends with spans that are still open, up to the moment to which they
// were watched.
func (m *LimboMeter) FinishAt(atNS int64, pending []results.Death) (results.Limbo, []results.LimboPoint) {
	for i := range pending {
		m.end(&pending[i], atNS)
	}
	return m.Finish()
}

// Finish returns what was found. It ends the meter.
func (m *LimboMeter) Finish() (results.Limbo, []results.LimboPoint) {
	m.closeLost()
	if len(m.steps) > 0 {
		m.take(1<<63 - 1)
	}
	if m.line == nil {
		return m.limbo, nil
	}
	m.limbo.ByteSeconds = m.held.seconds()
	return m.limbo, m.line.points
}

// Clone returns a copy, to see what Finish would return by now.
func (m *LimboMeter) Clone() *LimboMeter {
	c := *m
	c.steps = slices.Clone(m.steps)
	c.open = make(map[SpanKey]uint64, len(m.open))
	for k, v := range m.open {
		c.open[k] = v
	}
	if m.line != nil {
		line := *m.line
		line.points = slices.Clone(line.points)
		c.line = &line
	}
	return &c
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
		if len(t.points) < MaxTimelinePoints {
			t.points = append(t.points, p)
			t.level = p
			return
		}
		points := t.points
		*t = *newTimeline(p.AtNS, MaxTimelinePoints+1)
		for _, old := range points {
			t.add(old)
		}
	}
	for p.AtNS/t.width >= MaxTimelinePoints {
		t.widen()
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

// widen makes one interval of two.
func (t *timeline) widen() {
	for i := range t.points {
		p, to := t.points[i], &t.points[i/2]
		if i%2 == 0 {
			*to = p
		} else {
			to.Bytes, to.Maps = max(to.Bytes, p.Bytes), max(to.Maps, p.Maps)
		}
	}
	t.points = t.points[:(len(t.points)+1)/2]
	t.width *= 2
}
