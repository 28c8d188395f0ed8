// SPDX-License-Identifier: Apache-2.0

//go:build linux

package programs

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/mapprof/mapprof/internal/ktime"
	"github.com/mapprof/mapprof/workloads"
)

// branches is how many each function has.
const branches = 20

// withFunctions is a program that calls n functions, one after the other. The kernel
// verifies global ones each by itself, static ones wherever they are called
// (51c39bb1d5d1).
func withFunctions(n uint32, linkage btf.FuncLinkage) *ebpf.ProgramSpec {
	proto := &btf.FuncProto{
		Return: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed},
		Params: []btf.FuncParam{{Name: "skb", Type: &btf.Pointer{Target: &btf.Struct{Name: "__sk_buff", Size: 4}}}},
	}
	function := func(first asm.Instruction, name string, linkage btf.FuncLinkage) asm.Instruction {
		return btf.WithFuncMetadata(first.WithSymbol(name), &btf.Func{Name: name, Type: proto, Linkage: linkage})
	}
	name := func(i uint32) string { return fmt.Sprintf("mp_function_%d", i) }
	insns := asm.Instructions{function(asm.Mov.Reg(asm.R6, asm.R1), "mp_verified", btf.GlobalFunc)}
	for i := range n {
		insns = append(insns, asm.Mov.Reg(asm.R1, asm.R6), asm.Call.Label(name(i)))
	}
	insns = append(insns, asm.Mov.Imm(asm.R0, 0), asm.Return())
	for i := range n {
		insns = append(insns, function(asm.Mov.Imm(asm.R0, 0), name(i), linkage))
		for b := range branches {
			next := fmt.Sprintf("mp_branch_%d_%d", i, b)
			insns = append(insns,
				asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), // the packet's length
				asm.JGT.Imm(asm.R2, int32(b), next),
				asm.Add.Imm(asm.R0, 1),
				asm.Mov.Reg(asm.R3, asm.R0).WithSymbol(next),
			)
		}
		insns = append(insns, asm.Return())
	}
	return &ebpf.ProgramSpec{Name: "mp_verified", Type: ebpf.SchedCLS, Instructions: insns, License: "Dual BSD/GPL"}
}

// load is one BPF_PROG_LOAD, with times of CLOCK_MONOTONIC.
type load struct {
	linkage    string
	begin, end int64
}

// linkages are those that are compared.
var linkages = []struct {
	name    string
	linkage btf.FuncLinkage
}{{"globals", btf.GlobalFunc}, {"statics", btf.StaticFunc}}

// verify loads a program of each kind.
func (i *instance) verify() error {
	for _, l := range linkages {
		begin := ktime.Now()
		prog, err := ebpf.NewProgram(withFunctions(i.cfg.Globals, l.linkage))
		end := ktime.Now()
		if err != nil {
			return fmt.Errorf("load a program with %d functions (%s): %w", i.cfg.Globals, l.name, err)
		}
		if err := prog.Close(); err != nil {
			return err
		}
		i.loads = append(i.loads, load{l.name, begin, end})
	}
	return nil
}

// verified sums the verifier's calls up: those of each load, on its thread.
func (i *instance) verified(r *workloads.Result) {
	const name = "verify"
	calls, traced := i.calls[name]
	for _, l := range linkages {
		var took, single, longest, number []float64
		for _, load := range i.loads {
			if load.linkage != l.name {
				continue
			}
			took = append(took, float64(load.end-load.begin))
			most, n := 0.0, 0
			for _, c := range calls.List {
				if c.BeginNS < load.begin || c.EndNS > load.end || i.tid != 0 && c.TID != i.tid {
					continue
				}
				ns := float64(c.EndNS - c.BeginNS)
				single, most, n = append(single, ns), max(most, ns), n+1
			}
			longest, number = append(longest, most), append(number, float64(n))
		}
		r.Add("programs.load."+l.name, "ns", "bpf(2) that loads the program, its BTF included", took)
		if !traced || len(single) == 0 {
			continue
		}
		r.Add("programs.verify.calls."+l.name, "calls/load", "how often "+calls.Function+" ran in it", number)
		r.Add("programs.verify.call."+l.name, "ns", calls.Function+", fentry to fexit", single)
		r.Add("programs.verify.longest."+l.name, "ns", "the longest such call of each load", longest)
	}
	if calls.Unseen > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d calls of %s were not timed", calls.Unseen, calls.Function))
	}
}

var errNoStack = errors.New("the kernel gave no stack")
