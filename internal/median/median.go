// SPDX-License-Identifier: Apache-2.0

package median

import (
	"math"
	"slices"
)

// Of is the median of values, which it leaves in their order; NaN of none.
func Of[T ~int64 | ~float64](values []T) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	return (float64(s[(len(s)-1)/2]) + float64(s[len(s)/2])) / 2
}
