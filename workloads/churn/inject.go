// SPDX-License-Identifier: Apache-2.0

//go:build linux

package churn

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/spf13/pflag"
)

// What mapprof gate --self-test plants into churn, and must find again. The
// parameters are strings, so that without an injection they are empty and not
// shown with a scenario; the flags are hidden.

// addInjectFlags registers the two.
func (c *Workload) addInjectFlags(fs *pflag.FlagSet) {
	fs.StringVar(&c.InjectDelay, "inject-delay", "", "rounds of an empty loop in every operation, or with /N in every Nth, for gate --self-test")
	fs.StringVar(&c.InjectReader, "inject-reader", "", "RCU readers that copy this many times 2 MiB before they end, for gate --self-test")
	for _, name := range []string{"inject-delay", "inject-reader"} {
		_ = fs.MarkHidden(name) // it exists
	}
}

const maxHeldCopies = 1000

// delay is what inject-delay asks for: so many rounds in each of so many
// operations.
type delay struct{ rounds, every uint64 }

// of is how many rounds the operation of that number, from 0, gets.
func (d delay) of(op uint64) uint64 {
	if d.every > 1 && (op+1)%d.every != 0 {
		return 0
	}
	return d.rounds
}

// injected returns the two as numbers; 0 is none.
func (c *Workload) injected() (d delay, copies uint64, err error) {
	number := func(flag, text string, most uint64) uint64 {
		if text == "" || err != nil {
			return 0
		}
		n, perr := strconv.ParseUint(text, 10, 64)
		if perr != nil || n > most {
			err = fmt.Errorf("--%s %q is not a number from 0 to %d", flag, text, most)
		}
		return n
	}
	rounds, every, _ := strings.Cut(c.InjectDelay, "/")
	d = delay{number("inject-delay", rounds, 1<<32), number("inject-delay", every, 1<<32)}
	copies = number("inject-reader", c.InjectReader, maxHeldCopies)
	return d, copies, err
}

const heldCopyBytes = 2 << 20

// startCopyingReader runs an RCU reader over and over that doesn't end before it
// has copied memory that often, until the returned function is called.
func (i *instance) startCopyingReader() (stop func() error, err error) {
	_, copies, err := i.cfg.injected()
	if err != nil {
		return nil, err
	}
	if copies == 0 {
		return func() error { return nil }, nil
	}
	memory, err := ebpf.NewMap(&ebpf.MapSpec{Name: "mp_held", Type: ebpf.Array, KeySize: 4, ValueSize: 2 * heldCopyBytes, MaxEntries: 1})
	if err != nil {
		return nil, fmt.Errorf("create map of the held reader: %w", err)
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "mp_held", Type: ebpf.SocketFilter, Instructions: copyingReader(memory, int(copies)), License: "Dual BSD/GPL",
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("load held reader: %w", err), memory.Close())
	}
	done := make(chan struct{})
	var runErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if _, runErr = prog.Run(&ebpf.RunOptions{Data: make([]byte, 64)}); runErr != nil {
					return
				}
			}
		}
	})
	return func() error {
		close(done)
		wg.Wait()
		if runErr != nil {
			runErr = fmt.Errorf("run held reader: %w", runErr)
		}
		return errors.Join(runErr, prog.Close(), memory.Close())
	}, nil
}

// copyingReader copies one half of the map's value to the other, one helper call
// after the other: far more work than instructions that the verifier must
// look at. bpf_probe_read_kernel came with 5.5 (6ae08ae3dea2).
func copyingReader(memory *ebpf.Map, copies int) asm.Instructions {
	insns := asm.Instructions{
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, memory.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.Mov.Reg(asm.R6, asm.R0),
	}
	for range copies {
		insns = append(insns,
			asm.Mov.Reg(asm.R1, asm.R6),
			asm.Mov.Imm(asm.R2, heldCopyBytes),
			asm.Mov.Reg(asm.R3, asm.R6),
			asm.Add.Imm(asm.R3, heldCopyBytes),
			asm.FnProbeReadKernel.Call())
	}
	return append(insns,
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
		asm.Return())
}
