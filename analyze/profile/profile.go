// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// Sample types beside those that are named as their phase.
const (
	SampleDeaths           = "deaths"
	SampleLimboBytes       = "limbo_bytes"
	SampleLimboByteSeconds = "limbo_byte_seconds"
)

// columns are the sample types of a profile of deaths, and the indexes of their
// values in Sample.Value.
type columns struct {
	types []*pprof.ValueType
	// phase is the index of a phase's own value, by its position in the table;
	// -1: it has none.
	phase                             []int
	deaths, limbo, bytes, byteSeconds int
}

// columnsOf are those for the phases of a table: deaths, limbo, its parts, and
// what it costs in memory.
func columnsOf(phases []results.Phase) columns {
	c := columns{phase: make([]int, len(phases))}
	add := func(name, unit string) int {
		c.types = append(c.types, &pprof.ValueType{Type: name, Unit: unit})
		return len(c.types) - 1
	}
	c.deaths = add(SampleDeaths, "count")
	for _, kind := range []results.PhaseKind{results.WholeDeath, results.PartOfDeath} {
		for i := range phases {
			if phases[i].Kind != kind {
				continue
			}
			c.phase[i] = -1
			if phases[i].SampleType != "" {
				c.phase[i] = add(phases[i].SampleType, "nanoseconds")
			}
			if kind == results.WholeDeath {
				c.limbo = c.phase[i]
			}
		}
	}
	c.bytes = add(SampleLimboBytes, "bytes")
	// pprof scales bytes and times but not their product.
	c.byteSeconds = add(SampleLimboByteSeconds, "count")
	return c
}

// SampleTypes returns the names of the sample types of a profile of deaths, in
// their order.
func SampleTypes() []string {
	var names []string
	for _, t := range columnsOf(results.Phases()).types {
		names = append(names, t.Type)
	}
	return names
}

// Meta is what a profile says beside its samples.
type Meta struct {
	// Scenarios gives the labels of a scenario's deaths, by scenario ID. A
	// death of another scenario gets no kernel and no requested strategy.
	Scenarios map[string]ScenarioMeta
	Started   time.Time
	Duration  time.Duration
	Comments  []string
}

// ScenarioMeta is what the labels need to know of a scenario.
type ScenarioMeta struct {
	Kernel            string // release
	StrategyRequested string
}

// MetaOf takes a run's Meta from the run: labels, time, and comments
// with the command, the targets, the number of deaths and the loss.
func MetaOf(run *results.Run) Meta {
	m := Meta{
		Scenarios: make(map[string]ScenarioMeta, len(run.Scenarios)),
		Started:   run.Started,
		Duration:  run.Ended.Sub(run.Started),
	}
	loss := map[string]uint64{}
	var deaths uint64
	for _, s := range run.Scenarios {
		for _, t := range s.Trials {
			deaths += t.Freed
		}
		m.Scenarios[s.ID] = ScenarioMeta{Kernel: s.KernelName(), StrategyRequested: s.Strategy.Requested}
		for k, v := range s.Loss {
			loss[k] += v
		}
	}
	if len(run.Command) > 0 {
		m.Comments = append(m.Comments, "command: "+strings.Join(run.Command, " "))
	}
	for _, t := range run.Targets {
		m.Comments = append(m.Comments, fmt.Sprintf("kernel: %s %s (target %s, accelerator %s, clock %s, %d CPUs)",
			t.Kernel.Release, t.Kernel.Build, t.Kind, t.Accel, t.Clock, t.CPUs))
	}
	m.Comments = append(m.Comments, fmt.Sprintf("deaths: %d", deaths), "loss: "+results.LossText(loss))
	if run.Partial {
		m.Comments = append(m.Comments, "partial: "+run.PartialReason)
	}
	m.Comments = append(m.Comments,
		"limbo is split by the [phase] leaf frames; a death and its limbo_bytes are counted once, at its longest phase")
	for i, c := range m.Comments {
		m.Comments[i] = safetext.Text(c)
	}
	return m
}

// Builder sums deaths up into a pprof profile. What it keeps grows with
// the number of different stacks and labels, not with the number of deaths.
//
// A death becomes one sample per phase, its stack with the frame "[phase]
// NAME" as the leaf. That sample's limbo and its phase's own sample type are
// the phase's time, its limbo_byte_seconds the map's memory × that time. A
// death itself and its limbo_bytes are counted once: at the phase that lasted
// longest (the earlier of equals). So the sum of every sample type over all
// samples is its exact total, and deaths by leaf say how many deaths each
// phase is to blame for.
type Builder struct {
	phases []results.Phase
	// Sums and lengths are by the phase's position in the table.
	groups map[groupKey][]phaseSum
	ns     []int64 // of the death that is being added
	n      int64
	last   groupKey
	cached []phaseSum
	bytes  uint64
	limbo  int64
}

// groupKey is what tells samples apart, phase aside.
type groupKey struct {
	scenario, strategy, mapType, mapName, outer, comm, stack string
	creator, container, pinnedBy                             string // of a recording
}

// maxGroups bounds what is told apart: of more a recording's names and owners are
// "[other]".
const maxGroups = 1 << 13

const otherName = "[other]"

func keyOf(d *results.Death) groupKey {
	k := groupKey{scenario: d.Scenario, strategy: analyze.StrategyOf(d.Path), mapType: d.MapType, mapName: d.MapName, outer: d.Outer, comm: d.Comm, stack: d.Stack}
	if o := d.Owner; o != nil {
		k.outer = cmp.Or(o.OuterName, k.outer)
		k.creator, k.container, k.pinnedBy = o.CreatorName(), cmp.Or(o.Container, o.Cgroup), strings.Join(o.PinnedBy, ", ")
	}
	return k
}

func (k groupKey) compare(o groupKey) int {
	return cmp.Or(cmp.Compare(k.scenario, o.scenario), cmp.Compare(k.strategy, o.strategy),
		cmp.Compare(k.mapType, o.mapType), cmp.Compare(k.mapName, o.mapName),
		cmp.Compare(k.outer, o.outer), cmp.Compare(k.comm, o.comm), cmp.Compare(k.stack, o.stack),
		cmp.Compare(k.creator, o.creator), cmp.Compare(k.container, o.container), cmp.Compare(k.pinnedBy, o.pinnedBy))
}

type phaseSum struct {
	ns, deaths, bytes int64
	held              analyze.ByteTime
}

// NewBuilder returns an empty builder.
func NewBuilder() *Builder {
	phases := results.Phases()
	return &Builder{phases: phases, groups: map[groupKey][]phaseSum{}, ns: make([]int64, len(phases))}
}

// Add counts a death, of which it keeps nothing but strings. A death whose
// times go backwards, or that makes a total overflow, is an error and is not
// counted.
func (b *Builder) Add(d *results.Death) error {
	clear(b.ns)
	limbo, longest := int64(0), -1
	for i, t := range d.EachPhase {
		switch {
		case b.phases[i].Kind == results.WholeDeath:
			limbo = t
			continue
		case t < 0:
			return fmt.Errorf("profile death of map %d in %s: phase %s ends %d ns before it begins", d.MapID, d.Scenario, b.phases[i].Name, -t)
		}
		b.ns[i] = t
		if longest < 0 || t > b.ns[longest] {
			longest = i
		}
	}
	// The totals bound every part: nothing else can overflow.
	if limbo < 0 || b.limbo > math.MaxInt64-limbo || d.MemBytes > math.MaxInt64-b.bytes {
		return fmt.Errorf("profile death of map %d in %s: %d bytes in limbo for %d ns make the total overflow", d.MapID, d.Scenario, d.MemBytes, limbo)
	}
	b.limbo += limbo
	b.bytes += d.MemBytes
	b.n++
	g := b.group(keyOf(d), d.Owner != nil)
	for i, t := range b.ns {
		g[i].ns += t
		// < 2^63 bytes × < 2^63 ns in all: 128 bits are enough.
		g[i].held.Add(d.MemBytes, t)
	}
	g[longest].deaths++
	g[longest].bytes += int64(d.MemBytes)
	return nil
}

// Deaths of one trial come one after the other and mostly are alike.
func (b *Builder) group(k groupKey, recorded bool) []phaseSum {
	if b.cached != nil && b.last == k {
		return b.cached
	}
	g := b.groups[k]
	if g == nil && recorded && len(b.groups) >= maxGroups {
		k.mapName, k.comm, k.outer, k.creator, k.container, k.pinnedBy, k.stack = otherName, otherName, otherName, otherName, otherName, otherName, ""
		g = b.groups[k]
	}
	if g == nil {
		g = make([]phaseSum, len(b.phases))
		b.groups[k] = g
	}
	b.last, b.cached = k, g
	return g
}

// N is how many deaths were counted.
func (b *Builder) N() int64 { return b.n }

// Build returns the profile. stacks holds frames innermost first by
// results.Death.Stack; a stack that is not in it shows as "[no stack]". Equal
// input gives an equal profile, whatever the order of the deaths.
func (b *Builder) Build(stacks map[string][]results.Frame, meta Meta) (*pprof.Profile, error) {
	c := columnsOf(b.phases)
	p := &pprof.Profile{
		SampleType:        c.types,
		DefaultSampleType: results.PhaseLimbo,
		PeriodType:        &pprof.ValueType{Type: SampleDeaths, Unit: "count"},
		Period:            1,
		DurationNanos:     max(0, meta.Duration.Nanoseconds()),
	}
	if !meta.Started.IsZero() {
		p.TimeNanos = meta.Started.UnixNano()
	}
	for _, comment := range meta.Comments {
		p.Comments = append(p.Comments, safetext.Text(comment))
	}

	keys := make([]groupKey, 0, len(b.groups))
	for k := range b.groups {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, groupKey.compare)
	var held []analyze.ByteTime
	for _, k := range keys {
		for _, s := range b.groups[k] {
			held = append(held, s.held)
		}
	}
	byteSeconds, ok := analyze.Apportion(held)
	if !ok {
		return nil, errors.New("build profile: limbo_byte_seconds overflows")
	}
	l := newLocations(p)
	for g, k := range keys {
		labels := meta.labels(k)
		stack := l.stack(k.stack, stacks)
		for i, s := range b.groups[k] {
			if b.phases[i].Kind != results.PartOfDeath {
				continue
			}
			v := make([]int64, len(c.types))
			v[c.deaths], v[c.limbo] = s.deaths, s.ns
			if own := c.phase[i]; own >= 0 {
				v[own] = s.ns
			}
			v[c.bytes], v[c.byteSeconds] = s.bytes, byteSeconds[g*len(b.phases)+i]
			if !slices.ContainsFunc(v, func(v int64) bool { return v != 0 }) {
				continue
			}
			p.Sample = append(p.Sample, &pprof.Sample{
				Location: append([]*pprof.Location{l.phase(b.phases[i].Name)}, stack...),
				Value:    v,
				Label:    labels,
			})
		}
	}
	if err := p.CheckValid(); err != nil {
		return nil, fmt.Errorf("build profile: %w", err)
	}
	return p, nil
}

func (m Meta) labels(k groupKey) map[string][]string {
	s := m.Scenarios[k.scenario]
	labels := map[string][]string{}
	for name, v := range map[string]string{
		"kernel":             s.Kernel,
		"strategy":           k.strategy,
		"strategy_requested": s.StrategyRequested,
		"map_type":           k.mapType,
		"map_name":           k.mapName,
		"outer":              k.outer,
		"scenario":           k.scenario,
		"comm":               k.comm,
		"creator":            k.creator,
		"container":          k.container,
		"pinned_by":          k.pinnedBy,
	} {
		if v != "" {
			labels[name] = []string{safetext.Name(v)}
		}
	}
	return labels
}
