// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/workloads"
)

func init() {
	guestMains["one-page"] = func([]string) error { return placePrograms() }
}

// placed counts programs, and those on two pages by how they were loaded.
type placed struct{ Programs, TwoAnyhow, TwoPlaced int }

// placePrograms loads programs of some hundred bytes, all of which stay, as they
// come and on one page each.
func placePrograms() (err error) {
	ch, err := target.OpenGuestChannel()
	if err != nil {
		return err
	}
	defer ch.Close()
	insns := asm.Instructions{asm.Mov.Imm(asm.R0, 0)}
	for range 100 {
		insns = append(insns, asm.Add.Imm(asm.R0, 1))
	}
	spec := &ebpf.ProgramSpec{Name: "mp_placed", Type: ebpf.SocketFilter, Instructions: append(insns, asm.Return()), License: "Dual BSD/GPL"}
	out := placed{Programs: 100}
	for _, by := range []struct {
		load     func(*ebpf.ProgramSpec) (*ebpf.Program, error)
		twoPages *int
	}{{ebpf.NewProgram, &out.TwoAnyhow}, {workloads.LoadOnOnePage, &out.TwoPlaced}} {
		for range out.Programs {
			p, lerr := by.load(spec)
			if lerr != nil {
				return lerr
			}
			defer func() { err = errors.Join(err, p.Close()) }()
			info, err := p.Info()
			if err != nil {
				return err
			}
			addresses, _ := info.JitedKsymAddrs()
			size, err := info.JitedSize()
			if err != nil {
				return err
			}
			if first := addresses[0] >> 12; first != (addresses[0]+uintptr(size)-1)>>12 {
				*by.twoPages++
			}
		}
	}
	data, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return ch.Send("placed", data)
}

// TestVMOnePage: programs that are timed are on one page each; loaded anyhow,
// some would not be.
func TestVMOnePage(t *testing.T) {
	for _, series := range []string{"5.10", "6.12", "7.2"} {
		kernel, err := target.ResolveKernel(t.Context(), series, target.KernelOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var got placed
		out, err := target.VM{Kernel: kernel, Timeout: 2 * time.Minute}.Run(t.Context(), target.Job{
			Args: []string{"one-page"}, OutDir: t.TempDir(),
			Event: func(_ string, payload []byte) { err = json.Unmarshal(payload, &got) },
		})
		if err != nil || out.ExitCode != 0 {
			t.Fatalf("%v %s", err, out.Message)
		}
		t.Logf("%s: %+v", series, got)
		if got.Programs == 0 || got.TwoPlaced != 0 {
			t.Errorf("%s: of %d programs %d are on two pages", series, got.Programs, got.TwoPlaced)
		}
		if got.TwoAnyhow == 0 && series != "5.10" { // there each begins on a page of its own
			t.Errorf("%s: no program would be on two pages: this shows nothing", series)
		}
	}
}
