// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"math"
	"math/bits"
	"sort"
)

const nsPerSecond = 1_000_000_000

// ByteTime is an exact sum of bytes × nanoseconds in 128 bits: a float would
// make the total depend on the order of the deaths.
type ByteTime struct{ hi, lo uint64 }

// Add adds bytes × ns; ns must not be negative. It reports overflow.
func (t *ByteTime) Add(bytes uint64, ns int64) bool {
	hi, lo := bits.Mul64(bytes, uint64(ns))
	return t.plus(ByteTime{hi, lo})
}

func (t *ByteTime) plus(o ByteTime) bool {
	var carry uint64
	t.lo, carry = bits.Add64(t.lo, o.lo, 0)
	t.hi, carry = bits.Add64(t.hi, o.hi, carry)
	return carry == 0
}

// split returns whole byte-seconds and the rest in byte-nanoseconds.
func (t ByteTime) split() (whole int64, rest uint64, ok bool) {
	if t.hi >= nsPerSecond {
		return 0, 0, false
	}
	q, rest := bits.Div64(t.hi, t.lo, nsPerSecond)
	return int64(q), rest, q <= math.MaxInt64
}

// seconds returns byte-seconds.
func (t ByteTime) seconds() float64 {
	if whole, rest, ok := t.split(); ok {
		return float64(whole) + float64(rest)/nsPerSecond
	}
	return (float64(t.hi)*(1<<64) + float64(t.lo)) / nsPerSecond
}

// Apportion rounds each part to whole byte-seconds such that their sum is the
// rounded total: the largest rests are rounded up, ties by position.
func Apportion(parts []ByteTime) ([]int64, bool) {
	out := make([]int64, len(parts))
	rests := make([]uint64, len(parts))
	order := make([]int, len(parts))
	var rest, total uint64
	for i, p := range parts {
		whole, r, ok := p.split()
		total += uint64(whole)
		if !ok || total > math.MaxInt64 {
			return nil, false
		}
		out[i], rests[i], order[i] = whole, r, i
		rest += r
	}
	sort.SliceStable(order, func(a, b int) bool { return rests[order[a]] > rests[order[b]] })
	up := (rest + nsPerSecond/2) / nsPerSecond
	for _, i := range order[:up] {
		out[i]++
	}
	return out, true
}
