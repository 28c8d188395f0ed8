// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// OffsetWrap is where 32-bit arithmetic on an element's offset begins again at 0.
const OffsetWrap = 1 << 32

// Kernel commits that fix what a proof can find.
const (
	fixOverflow      = "87ac0d600943" // elem_size * index in 32 bits, past 4 GiB
	FixInnerElemSize = "cba41bb78d70" // elem_size of inner maps: every index read element 0
)

// Accessor is one way to an array's elements, whose values have 8 bytes at least.
// One goroutine at a time.
type Accessor interface {
	Name() string
	// Write puts a stamp at the beginning and the end of an element.
	Write(index uint32, stamp uint64) error
	// Read returns what is there.
	Read(index uint32) (first, last uint64, err error)
}

// Addressing proves that every way to an array's elements leads to the same
// ones: each element of a chosen set is stamped with its own index by one way,
// and read back by all. One goroutine at a time.
type Addressing struct {
	entries uint32
	Stride  uint64 // bytes from one element to the next
	Fix     string // the commit that made it right
	Indexes []uint32
}

// NewAddressing chooses the elements: the first and last, those around every
// multiple of wrapAt, which is 4 GiB where no fault is planted, and of half of
// that (where a sign would show), the ones that a wrapped offset of any of these
// leads to, and some at random; at most about limit of them.
func NewAddressing(entries uint32, stride, wrapAt uint64, limit int) *Addressing {
	const around = 3
	a := &Addressing{entries: entries, Stride: stride, Fix: fixOverflow}
	seen := map[uint32]bool{}
	add := func(index int64) {
		if index < 0 || index >= int64(entries) || seen[uint32(index)] {
			return
		}
		seen[uint32(index)] = true
		a.Indexes = append(a.Indexes, uint32(index))
	}
	near := func(index int64) {
		for d := int64(-around); d <= around; d++ {
			add(index + d)
			if i := index + d; i >= 0 && i < int64(entries) {
				add(int64(uint64(i) * stride % wrapAt / stride))
			}
		}
	}
	if int64(limit) >= int64(entries) {
		for index := range int64(entries) {
			add(index)
		}
	}
	near(0)
	near(int64(entries) - 1)
	size := uint64(entries) * stride
	for at := wrapAt / 2; at < size && len(a.Indexes) < limit; at += wrapAt / 2 {
		near(int64(at / stride))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range limit - len(a.Indexes) {
		i := uint64(random.Int64N(int64(entries)))
		add(int64(i))
		add(int64(i * stride % wrapAt / stride))
	}
	slices.Sort(a.Indexes)
	return a
}

// A stamp tells its element, and by whose turn it was written: what is left of
// an earlier turn is not taken for this one's.
const (
	stampMark  = uint64(0xa5) << 56
	turnShift  = 40
	stampIndex = 1<<32 - 1
)

func stamp(turn int, index uint32) uint64 {
	return stampMark | uint64(turn)<<turnShift | uint64(index)
}

// describe says whose stamp it is.
func describe(got uint64, turn int) string {
	switch {
	case got>>56 != stampMark>>56:
		return fmt.Sprintf("no stamp (%#x)", got)
	case got>>turnShift&0xffff != uint64(turn):
		return fmt.Sprintf("element %d, as written in an earlier turn", got&stampIndex)
	}
	return fmt.Sprintf("element %d", got&stampIndex)
}

// Prove writes by each writer and reads by each reader, and returns one line
// for every pair that did not agree, naming the first element that shows it and
// how many do. It calls progress after each pair.
func (a *Addressing) Prove(writers, readers []Accessor, progress func()) (failures []string, err error) {
	for turn, w := range writers {
		for _, index := range a.Indexes {
			if err := w.Write(index, stamp(turn+1, index)); err != nil {
				return failures, fmt.Errorf("write element %d by %s: %w", index, w.Name(), err)
			}
		}
		for _, r := range readers {
			failure, err := a.check(w, r, turn+1)
			if err != nil {
				return failures, err
			}
			if failure != "" {
				failures = append(failures, failure)
			}
			progress()
		}
	}
	return failures, nil
}

func (a *Addressing) check(w, r Accessor, turn int) (string, error) {
	wrong, text := 0, ""
	for _, index := range a.Indexes {
		first, last, err := r.Read(index)
		if err != nil {
			return "", fmt.Errorf("read element %d by %s: %w", index, r.Name(), err)
		}
		want := stamp(turn, index)
		if first == want && last == want {
			continue
		}
		got := first
		if first == want {
			got = last
		}
		if wrong++; wrong == 1 {
			text = fmt.Sprintf("addressing: FAIL: written by %s, read by %s: index %d (byte offset %d) answered with %s",
				w.Name(), r.Name(), index, uint64(index)*a.Stride, describe(got, turn))
		}
	}
	if wrong == 0 {
		return "", nil
	}
	return fmt.Sprintf("%s; %d of %d elements are wrong (fixed by kernel commit %s)", text, wrong, len(a.Indexes), a.Fix), nil
}
