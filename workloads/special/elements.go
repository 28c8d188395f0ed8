// SPDX-License-Identifier: Apache-2.0

//go:build linux

package special

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf/btf"

	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// Timers and work queues are cancelled twice: within the close(2) of the last user, and by
// the worker that frees the map, which finds nothing left. cancelElements shows both, call
// by call, with a map of its own: to watch each call makes a close several times as long.

// mostElements have room in a probe, twice each.
const mostElements = 2048

// elementCancels are the kernel's functions that cancel what is in one element.
var elementCancels = map[string]string{"timer": "bpf_timer_cancel_and_free", "workqueue": "bpf_wq_cancel_and_free"}

// cancelElements lets another map die, which isn't watched.
func (i *instance) cancelElements(tid int) error {
	function, ok := elementCancels[i.cfg.Field]
	if !ok || i.tracer == nil {
		return nil
	}
	if n := i.cfg.elements(); n > mostElements {
		i.result.Warnings = append(i.result.Warnings, fmt.Sprintf("calls of %s are not told apart: there is room for those of %d elements, not of %d", function, mostElements, n))
		return nil
	}
	var closed mapops.Span
	freed := false
	calls, err := i.tracer.Calls(map[string][]string{"special.element": {function}}, func() error {
		m, err := i.newMap("mp_cancelled")
		if err != nil {
			return err
		}
		info, err := m.Info()
		if err != nil {
			return errors.Join(err, m.Close())
		}
		types, _ := info.BTFID()
		if err := errors.Join(i.fillMap(m), i.takeOut()); err != nil {
			return errors.Join(err, m.Close())
		}
		if closed, err = mapops.Timed(m.Close); err != nil {
			return err
		}
		freed, err = typesGone(types)
		return err
	})
	if err != nil || len(calls) == 0 {
		return err
	}
	i.keepElements(calls["special.element"], closed, tid, freed)
	return nil
}

// typesGone waits until a map's types are gone, which the kernel drops after the elements
// (59e5791f59dd, 6.8; before, with the last reference). No other map has them.
func typesGone(id btf.ID) (bool, error) {
	const within = 10 * time.Second
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		h, err := btf.NewHandleFromID(id)
		if errors.Is(err, os.ErrNotExist) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if err := h.Close(); err != nil {
			return false, err
		}
	}
	return false, nil
}

// keepElements parts the calls into those of the close and the worker's.
func (i *instance) keepElements(calls workloads.Calls, closed mapops.Span, tid int, freed bool) {
	var closer, worker []float64
	for _, c := range calls.List {
		ns := float64(c.EndNS - c.BeginNS)
		switch {
		case closed.Has(c, tid):
			closer = append(closer, ns)
		case c.BeginNS > closed.Begin:
			worker = append(worker, ns)
		}
	}
	i.result.Add("special.element.close", "ns", calls.Function+" of one element within close(2), fentry to fexit, of a map more", closer)
	i.result.Add("special.element.worker", "ns", "the same by the worker that frees that map", worker)
	text := fmt.Sprintf("%s of %d elements: called %d times within close(2), %d times by the worker that frees the map", calls.Function, i.cfg.elements(), len(closer), len(worker))
	if !freed {
		text += " so far: it was not freed in time"
	}
	i.result.Findings = append(i.result.Findings, text)
}
