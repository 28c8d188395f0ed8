// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"github.com/cilium/ebpf/asm"
)

// hotElements is how many elements the pattern hot has.
const hotElements = 16

// KeySequence goes through the keys from 0 to n-1 of a map, the same way in Go and
// in BPF: a 32-bit state goes around, and its place in the 32 bits is the
// key's in the map, so that any n does without division and without branches,
// which would be dearer than the lookup. One goroutine at a time.
type KeySequence struct {
	n     uint64 // up to 2^32 - 1
	mul   uint32 // state = state * mul + add
	add   uint32
	state uint32
}

// NewKeySequence begins a sequence in the order of a pattern, for a map with that
// many entries of valueSize bytes each.
func NewKeySequence(pattern string, entries uint32, valueSize uint64) KeySequence {
	n := uint64(entries)
	s := KeySequence{n: n, mul: 1}
	// One element further; rounded up, so that the last is reached.
	one := uint32((1<<32 + n - 1) / n)
	switch pattern {
	case PatternRandom:
		s.mul, s.add = 1664525, 1013904223
	case PatternHot:
		s.mul, s.add, s.n = 1664525, 1013904223, min(n, hotElements)
	case PatternStride:
		// A page and a cache line: another set and another TLB entry each time.
		s.add = one * uint32(max(1, (4096+64)/valueSize))
	default:
		s.add = one
	}
	return s
}

// Next returns the next key.
func (s *KeySequence) Next() uint32 {
	k := uint32(uint64(s.state) * s.n >> 32)
	s.state = s.state*s.mul + s.add
	return k
}

// Len is how many different keys there are.
func (s *KeySequence) Len() uint64 { return s.n }

// instructions store the next key at RFP+at. The state is in R7; R1 is used.
func (s *KeySequence) instructions(at int16) asm.Instructions {
	insns := asm.Instructions{
		asm.Mov.Reg32(asm.R1, asm.R7),
		asm.Mul.Imm32(asm.R7, int32(s.mul)),
		asm.Add.Imm32(asm.R7, int32(s.add)),
	}
	if s.n < 1<<31 {
		insns = append(insns, asm.Mul.Imm(asm.R1, int32(s.n)))
	} else {
		insns = append(insns, asm.Mov.Imm32(asm.R2, int32(uint32(s.n))), asm.Mul.Reg(asm.R1, asm.R2))
	}
	return append(insns,
		asm.RSh.Imm(asm.R1, 32),
		asm.StoreMem(asm.RFP, at, asm.R1, asm.Word))
}
