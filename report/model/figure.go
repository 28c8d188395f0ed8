// SPDX-License-Identifier: Apache-2.0

package model

import (
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/internal/safetext"
)

// FormatFigure prints a median over n trials in its unit.
func FormatFigure(v float64, n int, unit string) string {
	if n == 0 {
		return None
	}
	switch unit {
	case compare.UnitNS, "ns/op":
		return FormatDuration(v)
	case compare.UnitBytes:
		return FormatBytes(v)
	case compare.UnitByteSeconds:
		return FormatByteSeconds(v)
	}
	return strings.TrimSpace(Significant(v, false) + " " + safetext.Name(unit))
}

// FormatP prints a p value with three digits and without the zero in front.
func FormatP(p float64) string {
	if p < 0.001 {
		return "< .001"
	}
	return strings.TrimPrefix(strconv.FormatFloat(p, 'f', 3, 64), "0")
}
