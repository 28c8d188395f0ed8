// SPDX-License-Identifier: Apache-2.0

package results

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// phasesByHand is what a death's phases are, without the table.
func phasesByHand(d Death) map[string]int64 {
	m := map[string]int64{PhaseFree: d.FreedNS - d.FreeNS, PhaseLimbo: d.FreedNS - d.PutNS}
	last := d.PutNS
	if d.EnqueueNS != 0 {
		m[PhaseEnqueue], last = d.EnqueueNS-last, d.EnqueueNS
	}
	if d.TasksTraceEndNS != 0 {
		m[PhaseTasksTraceGP], last = d.TasksTraceEndNS-last, d.TasksTraceEndNS
	}
	if d.RCUEndNS != 0 {
		m[PhaseRCUGP], last = d.RCUEndNS-last, d.RCUEndNS
	}
	if d.FreeWaitNS != 0 {
		m[PhaseFreeWait], m[PhaseFree] = d.FreeWaitNS, m[PhaseFree]-d.FreeWaitNS
	}
	if d.FreeNS != last {
		m[PhaseQueue] = d.FreeNS - last
	}
	return m
}

// TestPhaseNS: also for deaths whose times are missing or run backwards, which
// a damaged file may hold.
func TestPhaseNS(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	at := func() int64 { return r.Int64N(4) * r.Int64N(3) }
	for range 20_000 {
		d := Death{PutNS: at(), EnqueueNS: at(), TasksTraceEndNS: at(), RCUEnqueueNS: at(), RCUEndNS: at(), FreeNS: at(), FreeWaitNS: at(), FreedNS: at()}
		if got, want := d.PhaseNS(), phasesByHand(d); !maps.Equal(got, want) {
			t.Fatalf("%+v: %v, want %v", d, got, want)
		}
	}
}

func TestEachPhaseAllocatesNothing(t *testing.T) {
	d := &Death{PutNS: 1, EnqueueNS: 2, TasksTraceEndNS: 5, RCUEnqueueNS: 6, RCUEndNS: 10, FreeNS: 20, FreedNS: 25}
	var sum int64
	if n := testing.AllocsPerRun(100, func() {
		for i, ns := range d.EachPhase {
			if PhaseAt(i).Kind == PartOfDeath {
				sum += ns
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if sum != 101*24 {
		t.Errorf("the parts add up to %d", sum)
	}
	for range d.EachPhase {
		break // is no panic
	}
}

func TestPhaseTable(t *testing.T) {
	if got, want := AllPhases(), []string{"enqueue", "tasks_trace_gp", "rcu_gp", "queue", "free_wait", "free", "limbo", "update_wait", "op"}; !slices.Equal(got, want) {
		t.Errorf("phases %v, want %v", got, want)
	}
	if got := append(append(DeathPhases(), PhaseLimbo), BesidePhases()...); !slices.Equal(got, AllPhases()) {
		t.Errorf("parts, whole and the rest are %v", got)
	}
	if got, want := FeltPhases(), []string{"limbo", "update_wait", "op"}; !slices.Equal(got, want) {
		t.Errorf("a user feels %v, want %v", got, want)
	}
	for i, p := range Phases() {
		if PhaseIndex(p.Name) != i || PhaseAt(i).Name != p.Name {
			t.Errorf("%s is not at %d", p.Name, i)
		}
		if p.Kind == WholeDeath {
			continue
		}
		p.Name, p.SampleType = "other", ""
		if err := p.check(); err != nil {
			t.Errorf("%s could not be added: %v", PhaseAt(i).Name, err)
		}
	}
}

// madeUp is a phase that the table can take.
func madeUp() Phase {
	return Phase{Name: "handover", Kind: PartOfDeath, SampleType: "handover", Sentence: "s", Noun: "n", From: "f", To: "t",
		Color: Color{"#102030", "#405060"}, End: func(d *Death) int64 { return d.RCUEndNS + 1 }}
}

func TestAddPhase(t *testing.T) {
	before := AllPhases()
	undo := AddPhase(PhaseQueue, madeUp())
	if got, want := DeathPhases(), []string{"enqueue", "tasks_trace_gp", "rcu_gp", "handover", "queue", "free_wait", "free"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	d := Death{PutNS: 1, EnqueueNS: 2, RCUEndNS: 10, FreeNS: 20, FreedNS: 25}
	if got := d.PhaseNS(); got["handover"] != 1 || got["queue"] != 9 || got["rcu_gp"] != 8 || got["limbo"] != 24 {
		t.Errorf("%v", got)
	}
	undo()
	if got := AllPhases(); !slices.Equal(got, before) {
		t.Errorf("afterwards: %v", got)
	}
	for name, bad := range map[string]func(*Phase){
		"taken":           func(p *Phase) { p.Name = PhaseFree },
		"not a name":      func(p *Phase) { p.Name = "a;b" },
		"silent":          func(p *Phase) { p.Sentence = "" },
		"another whole":   func(p *Phase) { p.Kind = WholeDeath },
		"beside, but not": func(p *Phase) { p.Kind = BesideDeath },
		"endless":         func(p *Phase) { p.End = nil },
		"colourless":      func(p *Phase) { p.Color = Color{} },
		"no colour":       func(p *Phase) { p.Color.Dark = "red;}" },
		"sample type":     func(p *Phase) { p.SampleType = PhaseFree },
	} {
		p := madeUp()
		bad(&p)
		if !panics(func() { AddPhase(PhaseQueue, p) }) {
			t.Errorf("%s: it was added", name)
		}
	}
	for _, before := range []string{"", "nothing", PhaseLimbo, PhaseOp} {
		if !panics(func() { AddPhase(before, madeUp()) }) {
			t.Errorf("it was added before %q", before)
		}
	}
	if got := AllPhases(); !slices.Equal(got, before) {
		t.Errorf("in the end: %v", got)
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}

// TestPhaseNow: a death under way is in the phase that it has not left.
func TestPhaseNow(t *testing.T) {
	for _, tt := range []struct {
		d    Death
		want string
	}{
		{Death{Path: "immediate"}, PhaseQueue},
		{Death{Path: "rcu"}, PhaseRCUGP},
		{Death{Path: "rcu", RCUEndNS: 1}, PhaseQueue},
		{Death{Path: "tasks-trace"}, PhaseTasksTraceGP},
		{Death{Path: "tasks-trace+rcu", TasksTraceEndNS: 1}, PhaseRCUGP},
		{Death{Path: "tasks-trace", TasksTraceEndNS: 1, FreeNS: 2}, PhaseFree},
	} {
		if got := tt.d.PhaseNow(); got != tt.want {
			t.Errorf("%+v: %s", tt.d, got)
		}
	}
}
