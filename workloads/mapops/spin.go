// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import "math"

// Spin does nothing for that many rounds, each of which takes an equal number of
// instructions.
//
//go:noinline
func Spin(rounds uint64) {
	for r := uint64(0); r < rounds; r++ {
	}
}

// spinInstructions is what a round of spin takes: add, compare, branch.
const spinInstructions = 3

// SpinRounds is how many rounds of spin make n calls longer by that many
// instructions each.
func SpinRounds(each float64, n int) uint64 {
	return uint64(math.Round(each * float64(n) / spinInstructions))
}
