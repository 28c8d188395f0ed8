// SPDX-License-Identifier: Apache-2.0

package workloads

import "math"

// spin does nothing for that many rounds, each of which takes an equal number of
// instructions.
//
//go:noinline
func spin(rounds uint64) {
	for r := uint64(0); r < rounds; r++ {
	}
}

// spinInstructions is what a round of spin takes: add, compare, branch.
const spinInstructions = 3

// spinRounds is how many rounds of spin make n calls longer by that many
// instructions each.
func spinRounds(each float64, n int) uint64 {
	return uint64(math.Round(each * float64(n) / spinInstructions))
}
