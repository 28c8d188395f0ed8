// SPDX-License-Identifier: Apache-2.0

package live

import (
	"maps"
	"strings"
	"time"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

const (
	// MaxOwners bounds the owners that are told apart.
	MaxOwners = 256
	// OwnerSamples bounds the deaths that an owner's times are of.
	OwnerSamples = 512
	// parts is how many tallies a window consists of: it moves on by one of them.
	parts = 6
	// maxPaths bounds the paths that are remembered. No kernel has ten.
	maxPaths = 64
)

// Window sums up deaths as they come. What it takes does not grow with their number.
// One goroutine.
type Window struct {
	length int64 // ns
	parts  []part
	owners map[key]*owner
	others *owner
	paths  map[string]bool // that deaths took
	deaths uint64
	// Of the snapshot before, and of the first moment.
	beforeNS, firstNS int64
	before            uint64
}

// part is the deaths of a part of the window.
type part struct {
	fromNS int64
	tally  *analyze.Tally
}

// NewWindow returns one whose times are of the last length. nowNS is the kernel's clock.
func NewWindow(length time.Duration, nowNS int64) *Window {
	return &Window{
		length: length.Nanoseconds(), parts: []part{{nowNS, analyze.NewTally()}}, owners: map[key]*owner{}, paths: map[string]bool{},
		firstNS: nowNS, beforeNS: nowNS,
	}
}

// Add counts a death that has ended.
func (w *Window) Add(d *results.Death) error {
	w.deaths++
	if len(w.paths) < maxPaths {
		w.paths[d.Path] = true
	}
	w.of(keyOf(d), d.FreedNS).death(d)
	return w.parts[len(w.parts)-1].tally.Add(d)
}

// State is what beside deaths that have ended makes a snapshot.
type State struct {
	AtNS           int64 // of the kernel's clock
	Pending        []results.Death
	Lost           uint64
	Loss, Excluded map[string]uint64
	Stacks         map[string][]results.Frame
	Final          bool
}

// Snapshot tells what there is now, and begins the next interval.
func (w *Window) Snapshot(s *State) *Snapshot {
	interval := max(s.AtNS-w.beforeNS, 1)
	snap := &Snapshot{
		Time: time.Now(), ElapsedNS: s.AtNS - w.firstNS, IntervalNS: interval,
		Deaths: w.deaths, IntervalDeaths: w.deaths - w.before, DeathsPerSecond: perSecond(w.deaths-w.before, interval),
		Lost: s.Lost, Loss: happened(s.Loss), Excluded: happened(s.Excluded), Final: s.Final,
	}
	w.pending(snap, s)
	w.move(s.AtNS)
	snap.WindowNS = s.AtNS - w.parts[0].fromNS
	snap.Phases = w.phases()
	snap.Owners = []Owner{}
	for k, o := range w.owners {
		if o.deaths == 0 && o.limboMaps == 0 { // it was a part of a path
			delete(w.owners, k)
			continue
		}
		snap.Owners = append(snap.Owners, o.snapshot(&k, s, interval, w.length))
	}
	Sort(snap.Owners, ByLimbo)
	if w.others != nil {
		all := w.others.snapshot(&key{}, s, interval, w.length)
		snap.Others = &all
	}
	w.beforeNS, w.before = s.AtNS, w.deaths
	if s.AtNS-w.parts[len(w.parts)-1].fromNS >= w.length/parts {
		w.parts = append(w.parts, part{s.AtNS, analyze.NewTally()})
	}
	return snap
}

// pending counts the deaths under way.
func (w *Window) pending(snap *Snapshot, s *State) {
	for _, o := range w.owners {
		o.clearPending()
	}
	if w.others != nil {
		w.others.clearPending()
	}
	var oldest *results.Death
	for i := range s.Pending {
		d := &s.Pending[i]
		w.of(w.pendingKey(d), s.AtNS).pending(d, s.AtNS)
		snap.LimboMaps++
		snap.LimboBytes += d.MemBytes
		if oldest == nil || d.PutNS < oldest.PutNS {
			oldest = d
		}
	}
	if oldest != nil {
		snap.Oldest = &Pending{
			AgeNS: max(s.AtNS-oldest.PutNS, 0), Phase: oldest.PhaseNow(), MapName: safetext.Name(oldest.MapName), MapType: oldest.MapType, MemBytes: oldest.MemBytes,
		}
		if o := oldest.Owner; o != nil {
			snap.Oldest.Creator, snap.Oldest.Outer = safetext.Name(o.CreatorName()), safetext.Name(o.OuterName)
		}
	}
}

// move lets go of what is older than the window, and keeps a part at least.
func (w *Window) move(nowNS int64) {
	for len(w.parts) > 1 && w.parts[0].fromNS < nowNS-w.length {
		w.parts = w.parts[1:]
	}
}

// phases are of all deaths of the window.
func (w *Window) phases() map[string]results.Stats {
	sums := map[string]*analyze.Distribution{}
	for _, p := range w.parts {
		for name, d := range p.tally.Distributions() {
			if sums[name] == nil {
				sums[name] = analyze.NewDistribution()
			}
			sums[name].Histogram.Merge(d.Histogram)
			sums[name].Exact.Add(d.Exact)
		}
	}
	out := map[string]results.Stats{}
	for name, d := range sums {
		out[name] = d.Stats()
	}
	return out
}

// pendingKey is the key of a death under way. It may have come only a part of its path:
// where whole deaths of that owner went on from there, it is theirs.
func (w *Window) pendingKey(d *results.Death) key {
	k := keyOf(d)
	if o := w.owners[k]; o != nil && o.deaths > 0 {
		return k
	}
	for path := range w.paths {
		whole := k
		whole.path = path
		if strings.HasPrefix(path, k.path+"+") && w.owners[whole] != nil {
			return whole
		}
	}
	return k
}

// of finds, or makes, the entry of an owner. Where there is no room, an owner of which
// nothing was heard for a window goes to the others.
func (w *Window) of(k key, nowNS int64) *owner {
	if o := w.owners[k]; o != nil {
		o.seenNS = max(o.seenNS, nowNS)
		return o
	}
	if len(w.owners) >= MaxOwners && !w.forget(nowNS) {
		return w.rest()
	}
	o := &owner{seenNS: nowNS}
	w.owners[k] = o
	return o
}

// forget makes room for an owner, if it can.
func (w *Window) forget(nowNS int64) bool {
	var oldest key
	at := nowNS - w.length
	found := false
	for k, o := range w.owners {
		if o.seenNS < at {
			oldest, at, found = k, o.seenNS, true
		}
	}
	if found {
		w.rest().deaths += w.owners[oldest].deaths
		w.rest().before += w.owners[oldest].deaths
		delete(w.owners, oldest)
	}
	return found
}

func (w *Window) rest() *owner {
	if w.others == nil {
		w.others = &owner{}
	}
	return w.others
}

// happened are the kinds of a loss that aren't zero.
func happened(counts map[string]uint64) map[string]uint64 {
	out := maps.Clone(counts)
	maps.DeleteFunc(out, func(_ string, n uint64) bool { return n == 0 })
	if out == nil {
		out = map[string]uint64{}
	}
	return out
}

func perSecond(n uint64, ns int64) float64 { return float64(n) * 1e9 / float64(ns) }
