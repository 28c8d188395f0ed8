// SPDX-License-Identifier: Apache-2.0

package model

import (
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/analyze"
)

// FormatFigure prints a median over n trials in its unit.
func FormatFigure(v float64, n int, unit string) string {
	if n == 0 {
		return None
	}
	switch unit {
	case analyze.UnitNS, "ns/op":
		return FormatDuration(v)
	case analyze.UnitBytes:
		return FormatBytes(v)
	case analyze.UnitByteSeconds:
		return FormatByteSeconds(v)
	}
	return strings.TrimSpace(Significant(v, false) + " " + analyze.SafeName(unit))
}

// FormatP prints a p value with three digits and without the zero in front.
func FormatP(p float64) string {
	if p < 0.001 {
		return "< .001"
	}
	return strings.TrimPrefix(strconv.FormatFloat(p, 'f', 3, 64), "0")
}
