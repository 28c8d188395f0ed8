// SPDX-License-Identifier: Apache-2.0

package median

import (
	"math"
	"slices"
	"testing"
)

func TestOf(t *testing.T) {
	for _, c := range []struct {
		in   []int64
		want float64
	}{{[]int64{7}, 7}, {[]int64{9, 1}, 5}, {[]int64{3, 1, 2}, 2}, {[]int64{4, 1, 3, 2}, 2.5}} {
		before := slices.Clone(c.in)
		if got := Of(c.in); got != c.want || !slices.Equal(c.in, before) {
			t.Errorf("%v: %v, want %v", before, got, c.want)
		}
	}
	if got := Of([]float64(nil)); !math.IsNaN(got) {
		t.Errorf("of nothing: %v", got)
	}
}
