// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"math"
	"slices"
)

// medianOf is NaN of no values.
func medianOf(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
