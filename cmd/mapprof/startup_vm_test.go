// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/task"
)

const startupGuest = "guest-startup"

type startupResult struct {
	LiveMaps uint64
	Startup  results.Startup
}

func init() {
	// A recording of a machine that has so many maps.
	guestTasks[startupGuest] = task.Handle(func(_ context.Context, _ *task.Env, maps int) (r startupResult, err error) {
		if err := rlimit.RemoveMemlock(); err != nil {
			return r, err
		}
		for i := range maps {
			m, err := ebpf.NewMap(&ebpf.MapSpec{Name: fmt.Sprintf("live%d", i), Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
			if err != nil {
				return r, err
			}
			defer func() { err = errors.Join(err, m.Close()) }()
		}
		exit, stderr, err := outcomeOf(asMapprof("record", "--target", "local", "--duration", "100ms", "-o", localRunDir))
		if err != nil {
			return r, err
		}
		d, err := results.Open(localRunDir)
		if err != nil {
			return r, fmt.Errorf("%s: %w: %s", exit, err, stderr)
		}
		tr := &d.Run.Scenarios[0].Trials[0]
		if tr.Live == nil || tr.Startup == nil {
			return r, fmt.Errorf("%s: no inventory: %q", exit, tr.Warnings)
		}
		return startupResult{tr.Live.Start.Held.LiveMaps, *tr.Startup}, os.RemoveAll(localRunDir)
	})
}

// TestVMStartup: on a machine with 10,000 live maps a recording watches a second after
// it began, beside the time that attaching takes. The clock counts instructions, so a busy
// host changes nothing: a second is 10^9 of them, one a nanosecond. Half of what it takes
// is the kernel's, which writes its symbols as text.
func TestVMStartup(t *testing.T) {
	t.Parallel()
	const many, second = 10000, 1e9
	vm := vmtest.VM(t, "6.12", func(m *target.Machine) { m.Clock = results.ClockICount })
	r := vmtest.Call[startupResult](t, vm, startupGuest, many)
	s := &r.Startup
	t.Logf("%d maps: watching after %.2f s, of it %.2f s attaching, %.2f s the inventory, %.2f s the rest",
		r.LiveMaps, float64(s.WatchingNS)/second, float64(s.AttachNS)/second, float64(s.InventoryNS)/second,
		float64(s.BeyondAttachNS()-s.InventoryNS)/second)
	if r.LiveMaps < many || s.InventoryNS <= 0 || s.AttachNS <= 0 {
		t.Errorf("%+v", r)
	}
	if beyond := s.BeyondAttachNS(); beyond > second {
		t.Errorf("from start to watching took %d instructions beyond attaching, more than a second", beyond)
	}
}
