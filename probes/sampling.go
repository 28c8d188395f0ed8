// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"unsafe"

	"github.com/cilium/ebpf"
)

// A gaps draws how many calls on the next one is timed, as draw_gap of
// lookup.bpf.c does: from 1 to spread, each as often, by a linear congruential generator.
type gaps struct{ random, spread uint64 }

// newGaps draws gaps with a mean of n.
func newGaps(n, seed uint64) gaps { return gaps{random: seed, spread: 2*n - 1} }

func (g *gaps) draw() uint64 {
	g.random = g.random*6364136223846793005 + 1
	return (g.random>>32)*g.spread>>32 + 1
}

// beginSampling draws each CPU's first gap; equal seeds but 0 give equal gaps.
func beginSampling(m *ebpf.Map, n, seed uint64) error {
	if seed == 0 {
		seed = rand.Uint64()
	}
	r := rand.New(rand.NewPCG(seed, 0))
	size := int(unsafe.Sizeof(lookupLookupCpu{}))
	var raw bytes.Buffer
	for range int(m.ValueSize()) / size {
		g := newGaps(n, r.Uint64())
		left := g.draw()
		cpu := lookupLookupCpu{Left: left, Drawn: left, Random: g.random, Spread: g.spread}
		if err := binary.Write(&raw, binary.NativeEndian, &cpu); err != nil {
			return fmt.Errorf("begin sampling: %w", err)
		}
	}
	if err := m.Put(uint32(0), raw.Bytes()); err != nil {
		return fmt.Errorf("begin sampling: %w", err)
	}
	return nil
}
