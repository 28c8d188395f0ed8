// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// ProgramRuns is how often a program ran, and for how long, while CountRuns was on. The
// time is the kernel's own, from its first instruction to its last, with one reading of
// the clock; what the trampoline does before and after it is not in it
// (kernel/bpf/trampoline.c, __bpf_prog_enter_recur).
type ProgramRuns struct {
	Program string
	Copies  int    // it is attached so often
	Runs    uint64 // of all copies
	NS      uint64 // of all runs
}

// CountRuns has the kernel count the runs of every BPF program, which costs each two
// readings of the clock (bpf(2), BPF_ENABLE_STATS; Linux 5.8). The caller closes it.
func CountRuns() (io.Closer, error) {
	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		return nil, fmt.Errorf("count the runs of BPF programs: %w", err)
	}
	return stats, nil
}

// Runs is what was counted since the programs were loaded, the longest first.
func (p *Probes) Runs() ([]ProgramRuns, error) {
	var all []ProgramRuns
	for name, copies := range p.programs {
		r := ProgramRuns{Program: name, Copies: len(copies)}
		for _, prog := range copies {
			stats, err := prog.Stats()
			if err != nil {
				return nil, fmt.Errorf("read stats of %s: %w", name, err)
			}
			r.Runs, r.NS = r.Runs+stats.RunCount, r.NS+uint64(stats.Runtime)
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b ProgramRuns) int {
		return cmp.Or(cmp.Compare(b.NS, a.NS), cmp.Compare(a.Program, b.Program))
	})
	return all, nil
}
