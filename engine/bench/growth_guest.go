// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"unsafe"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

// ofDeaths measures runs of more and more deaths, on the deterministic clock: what
// one costs in the guest, and what all of them take of memory.
func (g *growth) ofDeaths(ctx context.Context, on *Machines) (rows []growthRow, err error) {
	m := memory{strategy: results.StrategyImmediate}
	for _, kernel := range on.Kernels {
		op := growthRow{what: operationRow + kernel, sizes: g.deaths, unit: "instructions", limit: g.limit}
		waiting := growthRow{what: "a death, with all that the machine does meanwhile, " + kernel, unit: "instructions", limit: g.limit}
		decoded := waiting
		host := growthRow{what: "mapprof on the host: memory", sizes: g.deaths, unit: "MiB in all", limit: flat}
		guest := growthRow{what: "the guest: memory, less the file of deaths", sizes: g.deaths, unit: "MiB in all", limit: flat}
		// The first run may have to boot, and what unpacks a kernel takes more memory than
		// what has a snapshot.
		if _, err := m.one(ctx, on, kernel, g.deaths[0]); err != nil {
			return nil, err
		}
		for _, n := range g.deaths {
			t, err := m.one(ctx, on, kernel, n)
			if err != nil {
				return nil, err
			}
			op.cost = append(op.cost, float64(t.medianNS))
			each := &decoded
			if n <= inRing {
				each = &waiting
			}
			each.sizes, each.cost = append(each.sizes, n), append(each.cost, float64(t.took.Nanoseconds())/float64(t.deaths))
			host.cost = append(host.cost, float64(t.hostPeak)/(1<<20))
			guest.cost = append(guest.cost, float64(int64(on.Machine.MemoryBytes)-int64(t.guestLeft)-t.fileBytes)/(1<<20))
		}
		rows = append(rows, op)
		for _, each := range []growthRow{waiting, decoded} {
			if len(each.sizes) > 0 {
				rows = append(rows, each)
			}
		}
		rows = append(rows, host, guest)
	}
	return rows, nil
}

// inRing is how many deaths the ring buffer has room for: so many may wait in it until the
// workload has ended, and be decoded then.
var inRing = uint(trial.DefaultOptions().RingBytes) / uint(unsafe.Sizeof(probes.DeathEvent{})+8)

const operationRow = "churn's operation under the probes, median, "

// growthOps are the operations of churn that a slot or CPU is measured by.
const growthOps = 2000

// ofSlots measures churns of an outer map with more and more slots, each in a boot of
// its own.
func (g *growth) ofSlots(ctx context.Context, on *Machines) ([]growthRow, error) {
	return g.ofChurn(ctx, on, g.slots, "instructions", func(n uint, t *target.VM, c *watchedChurn) {
		c.Params["slots"] = strconv.FormatUint(uint64(n), 10)
	})
}

// ofCPUs measures a churn on machines of more and more CPUs. Their clock is the wall's,
// since the deterministic one has a single CPU.
func (g *growth) ofCPUs(ctx context.Context, on *Machines) ([]growthRow, error) {
	return g.ofChurn(ctx, on, g.cpus, "ns", func(n uint, t *target.VM, _ *watchedChurn) {
		t.Machine.CPUs, t.Machine.Clock = int(n), results.ClockWall
	})
}

// ofChurn measures churn without a grace period under the probes, and by program what
// of that is theirs. change makes the target and the workload those of a size.
func (g *growth) ofChurn(ctx context.Context, on *Machines, sizes []uint, unit string, change func(n uint, t *target.VM, c *watchedChurn)) (rows []growthRow, err error) {
	exact := unit == "instructions"
	err = on.each(ctx, func(t *target.VM, kernel string) error {
		op := growthRow{what: operationRow + kernel, sizes: sizes, unit: unit}
		programs := growthRow{what: "the probes' programs, " + kernel, sizes: sizes, unit: unit + " a death"}
		runs := growthRow{what: "the probes' programs, " + kernel, sizes: sizes, unit: "runs a death", limit: g.limit}
		if exact {
			op.limit, programs.limit = g.limit, g.limit
		}
		for _, n := range sizes {
			fmt.Fprintf(on.Stderr, "%s: churn, %d\n", kernel, n)
			vm := &target.VM{Machine: t.Machine, Images: t.Images, Programs: t.Programs}
			c := watchedChurn{Name: fmt.Sprint(n), Strategy: results.StrategyImmediate, Params: map[string]string{"count": fmt.Sprint(growthOps)}, ByProgram: true}
			change(n, vm, &c)
			r, err := watchedByProgram(ctx, on, vm, kernel, c)
			if err != nil {
				return fmt.Errorf("%d: %w", n, err)
			}
			var ns, count uint64
			for _, p := range r.Programs {
				ns, count = ns+p.NS, count+p.Runs
			}
			op.cost = append(op.cost, float64(r.MedianNS))
			programs.cost = append(programs.cost, float64(ns)/float64(r.Freed))
			runs.cost = append(runs.cost, float64(count)/float64(r.Freed))
		}
		rows = append(rows, op, programs, runs)
		return nil
	})
	return rows, err
}

// watchedByProgram is one churn under the probes, of which nothing was lost, with the
// kernel's statistics of programs.
func watchedByProgram(ctx context.Context, on *Machines, t *target.VM, kernel string, c watchedChurn) (*watchedRound, error) {
	measured, _, err := call[[]watchedResult](ctx, on, t, kernel, taskWatching, []watchedChurn{c})
	switch {
	case err != nil:
		return nil, err
	case len(measured) != 1 || measured[0].ByProgram == nil || measured[0].ByProgram.Freed == 0:
		return nil, errors.New("the guest measured no death")
	case measured[0].ByProgram.Lost > 0:
		return nil, fmt.Errorf("%d of %d deaths were lost or did not end", measured[0].ByProgram.Lost, measured[0].ByProgram.Puts)
	}
	return measured[0].ByProgram, nil
}
