// SPDX-License-Identifier: Apache-2.0

//go:build vm

package mapops

import (
	"context"
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/target/task"
)

const placeTask = "place-programs"

func TestMain(m *testing.M) {
	vmtest.Main(m, task.Handlers{placeTask: task.Handle(placePrograms), weighTask: task.Handle(weighMaps), tableTask: task.Handle(traceGrowth)})
}

// placed counts programs, and those on two pages by how they were loaded.
type placed struct{ Programs, TwoAnyhow, TwoPlaced int }

// placePrograms loads programs of some hundred bytes, all of which stay, as they
// come and on one page each.
func placePrograms(context.Context, *task.Env, task.None) (out placed, err error) {
	insns := asm.Instructions{asm.Mov.Imm(asm.R0, 0)}
	for range 100 {
		insns = append(insns, asm.Add.Imm(asm.R0, 1))
	}
	spec := &ebpf.ProgramSpec{Name: "mp_placed", Type: ebpf.SocketFilter, Instructions: append(insns, asm.Return()), License: "Dual BSD/GPL"}
	out = placed{Programs: 100}
	for _, by := range []struct {
		load     func(*ebpf.ProgramSpec) (*ebpf.Program, error)
		twoPages *int
	}{{ebpf.NewProgram, &out.TwoAnyhow}, {LoadOnOnePage, &out.TwoPlaced}} {
		for range out.Programs {
			p, lerr := by.load(spec)
			if lerr != nil {
				return out, lerr
			}
			defer func() { err = errors.Join(err, p.Close()) }()
			info, err := p.Info()
			if err != nil {
				return out, err
			}
			addresses, _ := info.JitedKsymAddrs()
			size, err := info.JitedSize()
			if err != nil {
				return out, err
			}
			if first := addresses[0] >> 12; first != (addresses[0]+uintptr(size)-1)>>12 {
				*by.twoPages++
			}
		}
	}
	return out, nil
}

// TestVMOnePage: programs that are timed are on one page each; loaded anyhow,
// some would not be.
func TestVMOnePage(t *testing.T) {
	for _, series := range []string{"5.10", "6.12", "7.2"} {
		got := vmtest.Call[placed](t, vmtest.VM(t, series), placeTask, task.None{})
		t.Logf("%s: %+v", series, got)
		if got.Programs == 0 || got.TwoPlaced != 0 {
			t.Errorf("%s: of %d programs %d are on two pages", series, got.Programs, got.TwoPlaced)
		}
		if got.TwoAnyhow == 0 && series != "5.10" { // there each begins on a page of its own
			t.Errorf("%s: no program would be on two pages: this shows nothing", series)
		}
	}
}
