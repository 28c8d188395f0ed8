// SPDX-License-Identifier: Apache-2.0

//go:build vm

package collect_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/task"
	"github.com/mapprof/mapprof/workloads"
)

const beforeTask = "put-before"

// Maps that each part of dieBefore drops.
const (
	diedInGracePeriod = 8
	diedInQueue       = 50
	diedLater         = 20
)

// beforeResult is what a recording makes of them.
type beforeResult struct {
	Puts, Freed, InFlight, Lost, PutsUnseen uint64
	Excluded, Loss                          map[string]uint64
}

// dieBefore drops maps before the watching begins, of which some are in a grace period
// then and others in the queue of a worker, and some after it has begun.
func dieBefore(ctx context.Context, _ *task.Env, _ task.None) (r beforeResult, err error) {
	w, _, err := workloads.New("churn", map[string]string{"count": fmt.Sprint(diedInGracePeriod)})
	if err != nil {
		return r, err
	}
	instance, err := w.Setup(ctx, "tasks-trace")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, instance.Close()) }()
	p, _, err := probes.Attach(probes.Config{Owners: &probes.Owners{}})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if _, err := p.ExcludeOwn(nil); err != nil {
		return r, err
	}
	var k collect.Kept
	reader, err := collect.Start(p, &k, collect.NewOwners(nil, nil))
	if err != nil {
		return r, err
	}
	if _, err := instance.Run(ctx, func(uint64, uint64) {}); err != nil {
		return r, err
	}
	// On the only CPU no worker runs before this thread waits.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0); err != nil {
		return r, err
	}
	queued, queuedErr := others(diedInQueue)
	later, laterErr := others(diedLater) // what this process creates from then on is its own
	err = errors.Join(queuedErr, laterErr, drop(queued), p.Start(), drop(later))
	if err := errors.Join(err, unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr}, 0)); err != nil {
		return r, err
	}
	if err := quiet(p, 2*time.Second); err != nil {
		return r, err
	}
	if err := errors.Join(p.Stop(), reader.Drain(ctx, 10*time.Second)); err != nil {
		return r, err
	}
	o, err := reader.Finish()
	if err != nil {
		return r, err
	}
	return beforeResult{o.Puts, o.Freed, o.InFlight, o.Lost, o.PutsUnseen, o.Excluded, o.Loss}, nil
}

func others(n int) (made []*ebpf.Map, err error) {
	for range n {
		m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "others", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
		if err != nil {
			return made, err
		}
		made = append(made, m)
	}
	return made, nil
}

func drop(all []*ebpf.Map) error {
	var errs []error
	for _, m := range all {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// TestVMPutBefore: a map whose last put was before the watching is no loss, and no
// death, wherever it was when the watching began.
func TestVMPutBefore(t *testing.T) {
	for _, series := range []string{"6.12", "7.2"} {
		vm := vmtest.VM(t, series, func(m *target.Machine) { m.CPUs = 1 })
		r := vmtest.Call[beforeResult](t, vm, beforeTask, task.None{})
		t.Logf("%s: %+v", series, r)
		if r.Puts != diedLater || r.Freed != diedLater || r.Lost+r.InFlight+r.PutsUnseen != 0 || results.LossText(r.Loss) != "none" {
			t.Errorf("%s: of %d maps: %+v", series, diedLater, r)
		}
		// Some were queued, and some in a grace period: else nothing is shown.
		if n := r.Excluded["other"]; n <= diedInQueue || n > diedInQueue+diedInGracePeriod {
			t.Errorf("%s: %d maps were freed whose last put was before", series, n)
		}
	}
}
