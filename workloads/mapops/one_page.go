// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"os"

	"github.com/cilium/ebpf"
)

// placements is how often LoadOnOnePage tries again: programs are some hundred
// bytes long, and about one in ten is on two pages.
const placements = 32

// LoadOnOnePage loads a program whose machine code is on one page, for it to be
// timed. QEMU's translator doesn't chain a jump to another page
// (translator_use_goto_tb()): a loop with such a jump takes tens of ns longer a
// turn than an equal one, more than most lookups. A program that is longer than
// a page, that is interpreted, or whose address the kernel hides, is taken as it
// comes, and so is the last of many tries.
func LoadOnOnePage(spec *ebpf.ProgramSpec) (*ebpf.Program, error) {
	// Those on two pages stay until one is found, or the next would be there.
	var others []*ebpf.Program
	defer func() {
		for _, p := range others {
			p.Close()
		}
	}()
	for {
		p, err := ebpf.NewProgram(spec)
		if err != nil {
			return nil, err
		}
		if onOnePage(p) || len(others) == placements {
			return p, nil
		}
		others = append(others, p)
	}
}

// onOnePage is true too where the kernel doesn't tell.
func onOnePage(p *ebpf.Program) bool {
	info, err := p.Info()
	if err != nil {
		return true
	}
	addresses, ok := info.JitedKsymAddrs()
	size, err := info.JitedSize()
	if !ok || len(addresses) == 0 || err != nil {
		return true
	}
	page := uint64(os.Getpagesize())
	return uint64(size) > page || uint64(addresses[0])%page+uint64(size) <= page
}
