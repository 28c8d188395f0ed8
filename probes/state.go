// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
)

// The events of the ring buffer; events.bpf.h says what the fields mean.
type (
	DeathEvent = lifecycleDeathEvent
	WaitEvent  = lifecycleWaitEvent
	GPEvent    = lifecycleGpEvent
	ProgEvent  = lifecycleProgEvent

	CgroupEvent = lifecycleCgroupEvent
)

// Kinds of an event, its first four bytes.
const (
	KindDeath = uint32(lifecycleEventKindEVENT_DEATH)
	KindWait  = uint32(lifecycleEventKindEVENT_WAIT)
	KindGP    = uint32(lifecycleEventKindEVENT_GP)
	KindProg  = uint32(lifecycleEventKindEVENT_PROG)

	KindCgroup = uint32(lifecycleEventKindEVENT_CGROUP)
)

// Kinds of a stage of a death.
const (
	StageKindNone       = uint32(lifecycleStageKindSTAGE_NONE)
	StageKindRCU        = uint32(lifecycleStageKindSTAGE_RCU)
	StageKindTasksTrace = uint32(lifecycleStageKindSTAGE_TASKS_TRACE)
)

// What a death's free waits for itself.
const (
	FreeWaitRCU   = uint16(lifecycleFreeWaitFREE_WAIT_RCU)
	FreeWaitTasks = uint16(lifecycleFreeWaitFREE_WAIT_TASKS)
)

// DeathKey tells deaths apart: ids of maps are used again.
type DeathKey struct {
	PutNS uint64
	MapID uint32
}

// Key is the death's, under way and ended.
func (e *DeathEvent) Key() DeathKey { return DeathKey{e.PutNs, e.MapId} }

// Counters are what the programs counted, summed over CPUs.
type Counters struct {
	Puts  uint64 // last puts of watched maps
	Waits uint64 // update waits that ended
	// Excluded by reason: "own", "other".
	Excluded map[string]uint64
	// LostDeaths by kind: deaths that were put and will never be reported.
	LostDeaths map[string]uint64
	// Missed by kind: everything else that was not recorded. It leaves the
	// balance whole.
	Missed map[string]uint64
}

// lostDeaths and missed give the counters their names in run.json.
var (
	lostDeaths = map[lifecycleCounter]string{
		lifecycleCounterCOUNTER_STALE:          "stale",
		lifecycleCounterCOUNTER_RINGBUF_FULL:   "ringbuf_full",
		lifecycleCounterCOUNTER_FREEING_FULL:   "freeing_full",
		lifecycleCounterCOUNTER_UNMATCHED_FREE: "unmatched_free",
		lifecycleCounterCOUNTER_UNMATCHED_EXIT: "unmatched_exit",
	}
	missed = map[lifecycleCounter]string{
		lifecycleCounterCOUNTER_WAIT_RINGBUF_FULL: "wait_ringbuf_full",
		lifecycleCounterCOUNTER_WAITS_FULL:        "waits_full",
		// Puts that found no room: attempts, of which a death has several.
		// The death itself is an unmatched_free.
		lifecycleCounterCOUNTER_INFLIGHT_FULL:       "inflight_full",
		lifecycleCounterCOUNTER_INFLIGHT_BUSY:       "inflight_busy",
		lifecycleCounterCOUNTER_UNMATCHED_WAIT:      "unmatched_wait",
		lifecycleCounterCOUNTER_UNMATCHED_CALLBACK:  "unmatched_callback",
		lifecycleCounterCOUNTER_GP_RINGBUF_FULL:     "gp_ringbuf_full",
		lifecycleCounterCOUNTER_OWNERS_FULL:         "owners_full",
		lifecycleCounterCOUNTER_PROG_RINGBUF_FULL:   "prog_ringbuf_full",
		lifecycleCounterCOUNTER_CGROUP_RINGBUF_FULL: "cgroup_ringbuf_full",
		lifecycleCounterCOUNTER_STACK_COLLISION:     "stack_collision",
		lifecycleCounterCOUNTER_STACK_ERROR:         "stack_error",
		lifecycleCounterCOUNTER_STACK_GUESS:         "stack_guess",
	}
)

// Counters reads the counters and the programs' recursion misses.
func (p *Probes) Counters() (Counters, error) {
	n := map[lifecycleCounter]uint64{}
	for i := range lifecycleCounterCOUNTERS {
		var perCPU []uint64
		if err := p.coll.Maps[lifecycleMapMpfCounters].Lookup(uint32(i), &perCPU); err != nil {
			return Counters{}, fmt.Errorf("read the tracer's counters: %w", err)
		}
		for _, v := range perCPU {
			n[i] += v
		}
	}
	c := Counters{
		Puts:  n[lifecycleCounterCOUNTER_PUTS],
		Waits: n[lifecycleCounterCOUNTER_WAITS],
		Excluded: map[string]uint64{
			"own":   n[lifecycleCounterCOUNTER_EXCLUDED_OWN],
			"other": n[lifecycleCounterCOUNTER_EXCLUDED_OTHER],
		},
		LostDeaths: map[string]uint64{},
		Missed:     map[string]uint64{},
	}
	for i, name := range lostDeaths {
		c.LostDeaths[name] = n[i]
	}
	for i, name := range missed {
		c.Missed[name] = n[i]
	}
	misses, err := p.recursionMisses()
	c.Missed["recursion_misses"] = misses
	return c, err
}

// recursionMisses sums how often a program was skipped because it was active
// on that CPU already. Of a program that is attached more than once the
// smallest count is taken: at most so often were all skipped at once. Kernels before 5.12
// don't count and report 0.
func (p *Probes) recursionMisses() (uint64, error) {
	var sum uint64
	for name, copies := range p.programs {
		least := ^uint64(0)
		for _, prog := range copies {
			stats, err := prog.Stats()
			if err != nil {
				return sum, fmt.Errorf("read stats of %s: %w", name, err)
			}
			least = min(least, stats.RecursionMisses)
		}
		sum += least
	}
	return sum, nil
}

// Pending is a death that is under way.
type Pending struct {
	OwnedDeath
	Worker uint32 // the thread id of the kworker that frees the map; 0: none yet
}

// InFlight returns the deaths that are under way, each once.
func (p *Probes) InFlight() ([]Pending, error) {
	return inFlight(&tables{
		owner: p.OwnerAt,
		seat: func(i int) (s lifecycleSeat, err error) {
			err = readVariable(p, p.seatsAt, i, &s)
			return s, err
		},
		lives: func() tableIterator { return p.coll.Maps[lifecycleMapMpfInflight].Iterate() },
		desk: func(i int) (d lifecycleFreeing, err error) {
			err = readVariable(p, p.desksAt, i, &d)
			return d, err
		},
		freeing: func() tableIterator { return p.coll.Maps[lifecycleMapMpfFreeing].Iterate() },
		again: func(tid uint32, to *lifecycleFreeing) error {
			return p.coll.Maps[lifecycleMapMpfFreeing].Lookup(tid, to)
		},
	})
}

// The length of the programs' arrays of these names.
const (
	seats = 1 << 12
	desks = 1 << 10
)

// readVariable copies an element of an array that is a variable at an offset in .bss. The
// programs may write it meanwhile.
func readVariable[T any](p *Probes, at int64, i int, to *T) error {
	mem, err := p.coll.Maps[".bss"].Memory()
	if err != nil {
		return fmt.Errorf("map the programs' variables: %w", err)
	}
	size := unsafe.Sizeof(*to)
	_, err = mem.ReadAt(unsafe.Slice((*byte)(unsafe.Pointer(to)), size), at+int64(i)*int64(size))
	return err
}

// tables are where the programs keep the deaths that are under way (lives.bpf.h).
type tables struct {
	seat    func(i int) (lifecycleSeat, error)
	lives   func() tableIterator
	desk    func(i int) (lifecycleFreeing, error)
	freeing func() tableIterator
	again   func(tid uint32, to *lifecycleFreeing) error // one that freeing had
	owner   func(address uint64) Owner
}

// tableIterator is an ebpf.MapIterator.
type tableIterator interface {
	Next(key, value any) bool
	Err() error
}

// tablePasses is how often a table is read whose entries go so fast that no
// pass comes to its end.
const tablePasses = 20

// inFlight reads the tables while deaths end. An iteration whose entry has
// gone begins again at the first one, so that others come twice, and is aborted
// when it has had more than there is room for. What any pass has seen counts:
// a death that has ended since is known by its event.
func inFlight(from *tables) ([]Pending, error) {
	var out []Pending
	seen := map[DeathKey]int{}
	add := func(life Pending) {
		if i, ok := seen[life.Death.Key()]; ok {
			out[i].Worker = life.Worker
			return
		}
		seen[life.Death.Key()] = len(out)
		out = append(out, life)
	}
	read := func(table func() tableIterator, next func(tableIterator) bool) error {
		var err error
		for range tablePasses {
			it := table()
			for next(it) {
			}
			if err = it.Err(); !errors.Is(err, ebpf.ErrIterationAborted) {
				return err
			}
		}
		return nil
	}
	put := func(address uint64, life DeathEvent) {
		if life.Confirmed != 0 {
			add(Pending{OwnedDeath: OwnedDeath{Death: life, Owner: from.owner(address)}})
		}
	}
	freed := func(tid uint32, worker *lifecycleFreeing, again func(*lifecycleFreeing) error) {
		if worker.Life.Death.Kind == KindDeath && whole(worker, again) && worker.Life.Death.Kind == KindDeath {
			add(Pending{worker.Life, tid})
		}
	}
	for i := range seats {
		s, err := settled(i, from.seat)
		if err != nil {
			return nil, fmt.Errorf("read the seats of deaths: %w", err)
		}
		if s.Map != 0 {
			put(s.Map, s.Life)
		}
	}
	var key uint64
	var life DeathEvent
	if err := read(from.lives, func(it tableIterator) bool {
		ok := it.Next(&key, &life)
		if ok {
			put(key, life)
		}
		return ok
	}); err != nil {
		return nil, fmt.Errorf("read the in-flight table: %w", err)
	}
	// A death leaves those when its free begins: in this order it is in
	// both rather than in neither.
	for i := range desks {
		d, err := from.desk(i)
		if err != nil {
			return nil, fmt.Errorf("read the desks of freeing workers: %w", err)
		}
		freed(d.Tid, &d, func(to *lifecycleFreeing) (err error) {
			*to, err = from.desk(i)
			return err
		})
	}
	var tid uint32
	var worker lifecycleFreeing
	if err := read(from.freeing, func(it tableIterator) bool {
		ok := it.Next(&tid, &worker)
		if ok {
			freed(tid, &worker, func(to *lifecycleFreeing) error { return from.again(tid, to) })
		}
		return ok
	}); err != nil {
		return nil, fmt.Errorf("read the table of freeing workers: %w", err)
	}
	return out, nil
}

// settled reads a seat until it did not change meanwhile.
func settled(i int, seat func(i int) (lifecycleSeat, error)) (lifecycleSeat, error) {
	for {
		s, err := seat(i)
		if err != nil || s.Map == 0 || s.Life.Confirmed == 0 {
			return s, err
		}
		again, err := seat(i)
		if err != nil || s == again {
			return s, err
		}
	}
}

// whole reads a worker's entry until it did not change meanwhile, and reports whether it
// is there still. The kernel copies an entry while the worker may write it.
func whole(worker *lifecycleFreeing, again func(*lifecycleFreeing) error) bool {
	for {
		var next lifecycleFreeing
		if again(&next) != nil {
			return false // its death has ended
		}
		same := next.Changes == worker.Changes && next.Changes%2 == 0
		*worker = next
		if same {
			return true
		}
	}
}

// Stack returns the addresses of a stack, innermost first.
func (p *Probes) Stack(id uint32) ([]uint64, error) {
	var frames [127]uint64
	if err := p.coll.Maps[lifecycleMapMpfStacks].Lookup(id, &frames); err != nil {
		return nil, fmt.Errorf("read stack %d: %w", id, err)
	}
	for i, f := range frames {
		if f == 0 {
			return frames[:i], nil
		}
	}
	return frames[:], nil
}
