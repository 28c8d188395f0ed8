// SPDX-License-Identifier: Apache-2.0

package results

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Names of phases, as files have them.
const (
	PhaseEnqueue      = "enqueue"
	PhaseTasksTraceGP = "tasks_trace_gp"
	PhaseRCUGP        = "rcu_gp"
	PhaseQueue        = "queue"
	PhaseFreeWait     = "free_wait"
	PhaseFree         = "free"
	PhaseLimbo        = "limbo"
	PhaseUpdateWait   = "update_wait"
	PhaseOp           = "op"
)

// PhaseKind is how a phase belongs to a death.
type PhaseKind int

const (
	PartOfDeath PhaseKind = iota // a stage of a death; the parts add up to the whole
	WholeDeath                   // limbo; the table has one
	BesideDeath                  // a time that no single death has
)

// Phase is all that is known of a phase. Whatever shows one takes it from here.
type Phase struct {
	Name     string // in files: lower case, digits and underscores
	Sentence string // what it is
	Noun     string // completes "99 % of the longest is …"
	From, To string // the events that it lies between
	Kind     PhaseKind
	// Color is the phase's colour on a page; a part of a death needs one.
	Color Color
	// SampleType is the phase's sample type in a pprof profile; empty: it has
	// none of its own. Sample types are of deaths: nothing beside them has one.
	SampleType string
	// End returns the ktime at which a death's phase ends, 0 where the death
	// has no such phase. A part begins where the part before it ended, the
	// first one and the whole at the last put. nil: beside the death.
	End func(*Death) int64
	// Always says that every death has the phase: an End of 0 is a time then,
	// and an unfinished record shows as times that run backwards.
	Always bool
	// AbsentAtZero says that a phase of no length does not exist. A callback
	// that no probe could see leaves the wait to end at the worker, with no
	// queue behind it.
	AbsentAtZero bool
	// Felt says that a user waits for it. Comparisons show its median among
	// the first figures, and the gate's default policy blocks on it.
	Felt bool
	// SeenBy is what makes the phase visible to probes: of every group at
	// least one probe must be attached whose stage or function it names.
	// Empty: no probe sees it, the workload measures it.
	SeenBy [][]string
}

// Color is a CSS colour (#rrggbb) for a light page and for a dark one. White
// text must be readable on both.
type Color struct{ Light, Dark string }

// phases is the table, in the order in which everything lists phases: the
// parts of a death in the order of its life, the whole, what is beside it.
// A kernel or a strategy that has no such phase leaves it out; it is never 0.
var phases = []Phase{
	{
		Name: PhaseEnqueue, Kind: PartOfDeath, SampleType: PhaseEnqueue,
		Sentence: "last put until the kernel asks for a grace period",
		Noun:     "asking for a grace period",
		From:     "the last put", To: "call_rcu*()",
		Color:  Color{"#64748b", "#64748b"},
		End:    func(d *Death) int64 { return d.EnqueueNS },
		SeenBy: [][]string{{"last put"}, {"enqueue"}},
	},
	{
		Name: PhaseTasksTraceGP, Kind: PartOfDeath, SampleType: PhaseTasksTraceGP,
		Sentence: "RCU-tasks-trace grace period: until every sleepable program that might use the map has ended",
		Noun:     "the tasks-trace grace period",
		From:     "call_rcu_tasks_trace() or call_srcu()", To: "its callback",
		Color:  Color{"#c2410c", "#c2410c"},
		End:    func(d *Death) int64 { return d.TasksTraceEndNS },
		SeenBy: [][]string{{"callback"}, {"call_rcu_tasks_trace", "call_srcu"}},
	},
	{
		Name: PhaseRCUGP, Kind: PartOfDeath, SampleType: PhaseRCUGP,
		Sentence: "RCU grace period: until every CPU has passed a quiescent state",
		Noun:     "the RCU grace period",
		From:     "call_rcu()", To: "its callback",
		Color:  Color{"#2563eb", "#2563eb"},
		End:    func(d *Death) int64 { return d.RCUEndNS },
		SeenBy: [][]string{{"callback"}, {"call_rcu"}},
	},
	{
		Name: PhaseQueue, Kind: PartOfDeath, SampleType: PhaseQueue,
		Sentence: "callback and workqueue: until a kworker takes it on",
		Noun:     "waiting for a kworker",
		From:     "the last callback, or the last put", To: "the entry of bpf_map_free_deferred()",
		Color:  Color{"#a16207", "#a16207"},
		End:    func(d *Death) int64 { return d.FreeNS },
		Always: true, AbsentAtZero: true,
		SeenBy: [][]string{{"free"}, {"last put", "callback"}},
	},
	{
		Name: PhaseFreeWait, Kind: PartOfDeath, SampleType: PhaseFreeWait,
		Sentence: "what the free itself waits for grace periods, or their callbacks",
		Noun:     "the free's own waiting",
		From:     "each wait inside bpf_map_free_deferred()", To: "its end",
		Color:  Color{"#7c3aed", "#7c3aed"},
		End:    func(d *Death) int64 { return d.FreeNS + d.FreeWaitNS },
		Always: true, AbsentAtZero: true,
		SeenBy: [][]string{{"free"}, {"wait in the free", "synchronize_rcu"}},
	},
	{
		Name: PhaseFree, Kind: PartOfDeath, SampleType: PhaseFree,
		Sentence: "the free itself, without what it waits",
		Noun:     "the free itself",
		From:     "the entry of bpf_map_free_deferred()", To: "its return",
		Color:  Color{"#15803d", "#15803d"},
		End:    func(d *Death) int64 { return d.FreedNS },
		Always: true,
		SeenBy: [][]string{{"free"}},
	},
	{
		Name: PhaseLimbo, Kind: WholeDeath, SampleType: PhaseLimbo,
		Sentence: "the whole, from last put to freed memory",
		Noun:     "the whole",
		From:     "the last put", To: "the return of bpf_map_free_deferred()",
		End:    func(d *Death) int64 { return d.FreedNS },
		Always: true, Felt: true,
		SeenBy: [][]string{{"last put"}, {"free"}},
	},
	{
		Name: PhaseUpdateWait, Kind: BesideDeath,
		Sentence: "what an update or delete of the outer map waits in synchronize_rcu*()",
		Noun:     "waiting in synchronize_rcu*()",
		From:     "the entry of synchronize_rcu*()", To: "its return",
		Felt:   true,
		SeenBy: [][]string{{"update wait"}},
	},
	{
		// In an open loop it counts from the intended start, else from the start.
		Name: PhaseOp, Kind: BesideDeath,
		Sentence: "one operation of the workload as user space sees it",
		Noun:     "the operation itself",
		From:     "the start of an operation", To: "its end",
		Felt: true,
	},
}

// Phases returns the table, in order.
func Phases() []Phase { return slices.Clone(phases) }

// PhaseAt returns the phase at a position of the table, as EachPhase counts.
func PhaseAt(i int) Phase { return phases[i] }

// PhaseNamed returns the phase of that name.
func PhaseNamed(name string) (Phase, bool) {
	if i := PhaseIndex(name); i >= 0 {
		return phases[i], true
	}
	return Phase{}, false
}

// PhaseIndex returns the position in the table of the phase of that name; -1:
// there is none.
func PhaseIndex(name string) int {
	return slices.IndexFunc(phases, func(p Phase) bool { return p.Name == name })
}

func phasesOf(kinds ...PhaseKind) []string {
	var names []string
	for i := range phases {
		if slices.Contains(kinds, phases[i].Kind) {
			names = append(names, phases[i].Name)
		}
	}
	return names
}

// DeathPhases returns the phases that add up to limbo, in order.
func DeathPhases() []string { return phasesOf(PartOfDeath) }

// BesidePhases returns the phases beside the death, in order.
func BesidePhases() []string { return phasesOf(BesideDeath) }

// AllPhases returns every phase that a scenario may have, in table order.
func AllPhases() []string { return phasesOf(PartOfDeath, WholeDeath, BesideDeath) }

// FeltPhases returns the phases that a user waits for, in order.
func FeltPhases() []string {
	var names []string
	for i := range phases {
		if phases[i].Felt {
			names = append(names, phases[i].Name)
		}
	}
	return names
}

// VisiblePhases returns the phases that the target's attached probes can tell
// apart, in order.
func (t *Target) VisiblePhases() []string {
	on := map[string]bool{}
	for _, p := range t.Probes {
		if p.Mechanism != "" {
			on[p.Name], on[p.Function] = true, true
		}
	}
	var visible []string
	for i := range phases {
		unseen := func(group []string) bool {
			return !slices.ContainsFunc(group, func(name string) bool { return on[name] })
		}
		if by := phases[i].SeenBy; len(by) > 0 && !slices.ContainsFunc(by, unseen) {
			visible = append(visible, phases[i].Name)
		}
	}
	return visible
}

// EachPhase yields the phases that the death has by their position in the
// table, in its order, with their length in nanoseconds. The lengths of the
// parts add up to the whole's. It allocates nothing.
func (d *Death) EachPhase(yield func(i int, ns int64) bool) {
	last := d.PutNS
	for i := range phases {
		p := &phases[i]
		if p.End == nil {
			continue
		}
		end := p.End(d)
		if end == 0 && !p.Always {
			continue
		}
		begin := d.PutNS
		if p.Kind == PartOfDeath {
			begin, last = last, end
		}
		if ns := end - begin; ns == 0 && p.AbsentAtZero {
			continue
		} else if !yield(i, ns) {
			return
		}
	}
}

// PhaseNS returns the death's phases that exist, in nanoseconds, limbo
// included. Their sum without limbo is limbo. EachPhase does the same for
// many deaths without a map for each.
func (d Death) PhaseNS() map[string]int64 {
	m := map[string]int64{}
	for i, ns := range d.EachPhase {
		m[phases[i].Name] = ns
	}
	return m
}

var (
	phaseNamePattern = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	colorPattern     = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
)

// AddPhase puts a phase into the table before the one of that name, and
// returns what takes it out again. It is for programs with probes of their own
// and for tests. Call it, and what it returns, before anything is measured or
// rendered, from one goroutine. A phase that the table can't hold is the
// program's mistake, and panics.
func AddPhase(before string, p Phase) (undo func()) {
	at := PhaseIndex(before)
	if err := p.check(); err != nil {
		panic(fmt.Sprintf("add phase %q: %v", p.Name, err))
	}
	if at < 0 || phases[at].Kind != p.Kind {
		panic(fmt.Sprintf("add phase %q: %q is no phase of its kind to stand before", p.Name, before))
	}
	phases = slices.Insert(slices.Clone(phases), at, p)
	return func() {
		phases = slices.DeleteFunc(slices.Clone(phases), func(o Phase) bool { return o.Name == p.Name })
	}
}

// check says what is wrong with a phase that is to be added. Its name and
// colours go into style sheets and tags as they are.
func (p *Phase) check() error {
	_, taken := PhaseNamed(p.Name)
	part := p.Kind == PartOfDeath
	switch {
	case taken:
		return fmt.Errorf("there is one of that name")
	case !phaseNamePattern.MatchString(p.Name):
		return fmt.Errorf("the name is not lower case letters, digits and underscores")
	case p.Sentence == "" || p.Noun == "" || p.From == "" || p.To == "":
		return fmt.Errorf("it lacks a sentence, a noun, or what it lies between")
	case p.Kind != PartOfDeath && p.Kind != BesideDeath:
		return fmt.Errorf("a death has one whole")
	case part && p.End == nil:
		return fmt.Errorf("a part of a death needs an end")
	case !part && (p.End != nil || p.SampleType != ""):
		return fmt.Errorf("what is beside the death has no end in it, and no sample type")
	case p.SampleType != "" && !phaseNamePattern.MatchString(p.SampleType):
		return fmt.Errorf("the sample type is not lower case letters, digits and underscores")
	case p.SampleType != "" && slices.ContainsFunc(phases, func(o Phase) bool { return o.SampleType == p.SampleType }):
		return fmt.Errorf("there is a phase with that sample type")
	case p.Color == Color{} && !part:
		return nil
	case !colorPattern.MatchString(p.Color.Light) || !colorPattern.MatchString(p.Color.Dark):
		return fmt.Errorf("the colours are not #rrggbb")
	}
	return nil
}

// PhaseNow is the phase in which a death is that has not ended, by its path and the times
// that it has reached.
func (d *Death) PhaseNow() string {
	waits := strings.Split(d.Path, "+")
	switch {
	case d.FreeNS != 0:
		return PhaseFree
	case slices.Contains(waits, StrategyTasksTrace) && d.TasksTraceEndNS == 0:
		return PhaseTasksTraceGP
	case slices.Contains(waits, StrategyRCU) && d.RCUEndNS == 0:
		return PhaseRCUGP
	}
	return PhaseQueue
}
