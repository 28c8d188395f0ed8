// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
)

// DecodeError is returned for a ring-buffer record that is not an event.
type DecodeError struct {
	Len  int
	Kind uint32
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("decode event: kind %d with %d bytes", e.Kind, e.Len)
}

// event is the last one that was decoded: the fields of its kind.
type event struct {
	kind  uint32
	death probes.OwnedDeath
	wait  probes.WaitEvent
	gp    probes.GPEvent
	prog  probes.ProgEvent

	cgroup probes.CgroupEvent
}

// decode takes a record's bytes, which have the layout of the generated types:
// they have no padding, and their tests hold them against the kernel's.
func (e *event) decode(raw []byte) error {
	e.kind = 0
	if len(raw) < 4 {
		return &DecodeError{Len: len(raw)}
	}
	kind := binary.NativeEndian.Uint32(raw)
	var into []byte
	switch kind {
	case probes.KindDeath:
		if into = bytesOf(&e.death); len(raw) == len(bytesOf(&e.death.Death)) { // owners aren't watched
			e.death.Owner = probes.Owner{}
			into = bytesOf(&e.death.Death)
		}
	case probes.KindWait:
		into = bytesOf(&e.wait)
	case probes.KindProg:
		into = bytesOf(&e.prog)
	case probes.KindCgroup:
		into = bytesOf(&e.cgroup)
	case probes.KindGP:
		into = bytesOf(&e.gp)
	}
	if into == nil || len(raw) != len(into) {
		return &DecodeError{Len: len(raw), Kind: kind}
	}
	copy(into, raw)
	e.kind = kind
	return nil
}

// bytesOf are the bytes of an event, which holds no pointer.
func bytesOf[T probes.DeathEvent | probes.OwnedDeath | probes.WaitEvent | probes.GPEvent | probes.ProgEvent | probes.CgroupEvent](e *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(e)), unsafe.Sizeof(*e))
}

// decoder turns events into records and counts what it can't. It allocates where
// it meets a new name or stack, of which a trial has few. One goroutine.
type decoder struct {
	mem   footprint
	names names
	paths map[pathKey]string
	stack func(id int32) string // the key of a stack; "": none
	// owners completes a record, and tells whether it is wanted; nil: all are, as
	// they are.
	owners func(*results.Death, *probes.Owner) bool

	lastSize sizeKey // of the last map whose memory was computed
	lastMem  uint64

	deaths          uint64            // records given
	counts          map[string]uint64 // of deaths, by path
	undecodable     uint64
	timeWentBack    uint64
	callbacksUnseen uint64
	unwanted        uint64 // deaths that owners did not want
	putsUnseen      uint64 // of the records given
}

type pathKey struct {
	kinds [2]uint32
	free  uint16 // waits inside it
}

type sizeKey struct {
	kind, flags, key, value, entries, extra, elements uint32
	pages                                             uint64
}

func newDecoder(mem footprint, stack func(int32) string) *decoder {
	return &decoder{mem: mem, stack: stack, names: names{}, paths: map[pathKey]string{}, counts: map[string]uint64{}}
}

// death turns an event into a record; false where it is not wanted, or its times run
// backwards, in the event or in a phase of the record. The last happens where the
// waits came in an order that no kernel has: RCU before tasks-trace.
func (c *decoder) death(d *results.Death, owned *probes.OwnedDeath) bool {
	e := &owned.Death
	if !c.pending(d, owned) {
		c.unwanted++
		return false
	}
	d.FreeNS, d.FreedNS = int64(e.FreeNs), int64(e.FreedNs)
	d.FreeWaitNS, d.CPUFree = int64(e.FreeWaitNs), int(e.CpuFree)
	last, ok := e.PutNs, e.FreedNs <= math.MaxInt64
	after := func(ns uint64) {
		ok = ok && ns >= last
		last = ns
	}
	for i, kind := range e.StageKind {
		if kind == probes.StageKindNone {
			break
		}
		end := e.EndNs[i]
		if end == 0 {
			// No probe saw the callback: the wait is known to have ended
			// when the worker began.
			end = e.FreeNs
			c.callbacksUnseen++
		}
		after(e.EnqueueNs[i])
		after(end)
		switch kind {
		case probes.StageKindTasksTrace:
			d.TasksTraceEndNS = int64(end)
		case probes.StageKindRCU:
			d.RCUEnqueueNS, d.RCUEndNS = int64(e.EnqueueNs[i]), int64(end)
		}
	}
	after(e.FreeNs)
	after(e.FreedNs)
	for _, ns := range d.EachPhase {
		ok = ok && ns >= 0
	}
	if !ok {
		c.timeWentBack++
		return false
	}
	d.Stack = c.stack(e.StackId)
	if d.PutUnseen {
		c.putsUnseen++
	}
	c.deaths++
	c.counts[d.Path]++
	return true
}

// pending is death of one that has not ended; false: it is not wanted.
func (c *decoder) pending(d *results.Death, owned *probes.OwnedDeath) bool {
	e := &owned.Death
	*d = results.Death{
		Path: c.path(e), MapID: e.MapId, MapType: results.MapTypeNumbered(e.MapType).Display, MapName: c.names.text(&e.MapName),
		KeySize: e.KeySize, ValueSize: e.ValueSize, MaxEntries: e.MaxEntries, MemBytes: c.memory(e),
		PutNS: int64(e.PutNs), CPUPut: int(e.CpuPut), Comm: c.names.text(&e.Comm),
	}
	if e.StageKind[0] != probes.StageKindNone {
		d.EnqueueNS = int64(e.EnqueueNs[0])
	}
	return c.owners == nil || c.owners(d, &owned.Owner)
}

// reached adds to a death that is under way how far it has come.
func reached(d *results.Death, e *probes.DeathEvent) {
	for i, kind := range e.StageKind {
		switch kind {
		case probes.StageKindTasksTrace:
			d.TasksTraceEndNS = int64(e.EndNs[i])
		case probes.StageKindRCU:
			d.RCUEnqueueNS, d.RCUEndNS = int64(e.EnqueueNs[i]), int64(e.EndNs[i])
		}
	}
	d.FreeNS = int64(e.FreeNs)
}

// maxNames bounds what is remembered of names.
const maxNames = 4096

// names keeps the texts of names: the same string for the same. One goroutine.
type names map[[16]int8]string

// text is the bytes before the first NUL.
func (n names) text(b *[16]int8) string {
	if s, ok := n[*b]; ok {
		return s
	}
	if len(n) >= maxNames {
		clear(n)
	}
	n[*b] = untilNUL(b[:])
	return n[*b]
}

// untilNUL is the text before the first NUL.
func untilNUL(b []int8) string {
	out := make([]byte, 0, len(b))
	for _, x := range b {
		if x == 0 {
			break
		}
		out = append(out, byte(x))
	}
	return string(out)
}

// memory is what a map holds; most maps of a trial are alike.
func (c *decoder) memory(e *probes.DeathEvent) uint64 {
	key := sizeKey{e.MapType, e.MapFlags, e.KeySize, e.ValueSize, e.MaxEntries, e.ExtraElems, e.Elements, e.MemoryPages}
	if key != c.lastSize {
		c.lastSize, c.lastMem = key, c.mem.bytes(e)
	}
	return c.lastMem
}

// path names the waits that a death went through, in order.
func (c *decoder) path(e *probes.DeathEvent) string {
	key := pathKey{e.StageKind, e.FreeWaits}
	p, ok := c.paths[key]
	if ok {
		return p
	}
	for _, kind := range e.StageKind {
		if name := waitNames[kind]; name != "" {
			p += "+" + name
		}
	}
	if key.free&probes.FreeWaitRCU != 0 {
		p += "+" + results.StrategySync
	}
	if key.free&probes.FreeWaitTasks != 0 {
		p += "+" + results.StrategySyncTasks
	}
	if p == "" {
		p = "+" + results.StrategyImmediate
	}
	if len(c.paths) >= maxNames {
		clear(c.paths)
	}
	c.paths[key] = p[1:]
	return p[1:]
}

// waitNames names what a stage of a death waits for, and a grace period of the
// system: as the strategy that waits for it.
var waitNames = map[uint32]string{
	probes.StageKindRCU:        results.StrategyRCU,
	probes.StageKindTasksTrace: results.StrategyTasksTrace,
}
