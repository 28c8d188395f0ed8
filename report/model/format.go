// SPDX-License-Identifier: Apache-2.0

package model

import (
	"math"
	"strconv"
	"strings"
)

// None is what a statistic without values prints. A phase that doesn't exist
// prints nothing at all.
const None = "–"

type unit struct {
	scale float64
	name  string
}

var (
	timeUnits = []unit{{1, "ns"}, {1e3, "µs"}, {1e6, "ms"}, {1e9, "s"}}
	byteUnits = []unit{{1, "B"}, {1 << 10, "KiB"}, {1 << 20, "MiB"}, {1 << 30, "GiB"}, {1 << 40, "TiB"}}
)

// FormatDuration prints nanoseconds with three significant digits and a unit.
func FormatDuration(ns float64) string { return scaled(ns, timeUnits, "") }

// FormatBytes prints bytes with three significant digits and a binary unit.
func FormatBytes(n float64) string { return scaled(n, byteUnits, "") }

// FormatByteSeconds prints memory × time.
func FormatByteSeconds(v float64) string { return scaled(v, byteUnits, "·s") }

func scaled(v float64, units []unit, suffix string) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return None
	}
	for i, u := range units {
		next := i+1 < len(units)
		// What would round up to the next unit belongs there.
		if next && math.Abs(v) >= units[i+1].scale-u.scale/2 {
			continue
		}
		return Significant(v/u.scale, u.scale == 1 && v == math.Trunc(v)) + " " + u.name + suffix
	}
	return None
}

// Significant prints three significant digits; whole numbers below 1000 as
// they are where exact says that there is nothing behind the point.
func Significant(v float64, exact bool) string {
	switch a := math.Abs(v); {
	case exact && a < 1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a == 0:
		return "0"
	case a < 0.00995:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case a < 0.0995:
		return strconv.FormatFloat(v, 'f', 4, 64)
	case a < 0.995:
		return strconv.FormatFloat(v, 'f', 3, 64)
	case a < 9.995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case a < 99.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// FormatShare prints a share of 1 as a percentage.
func FormatShare(share float64) string {
	switch {
	case share > 0 && share < 0.0005:
		return "<0.1%"
	case share >= 0.9995:
		return "100%"
	}
	return strconv.FormatFloat(share*100, 'f', 1, 64) + "%"
}

// FormatRatio prints how many times as much.
func FormatRatio(r float64) string {
	if r < 9.95 {
		return strconv.FormatFloat(r, 'f', 1, 64) + "×"
	}
	return strconv.FormatFloat(r, 'f', 0, 64) + "×"
}

// Plural prints "1 death" or "2 deaths".
func Plural(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatUint(n, 10) + " " + noun + "s"
}

// NBSP holds a number and its unit together when text is wrapped; it prints as
// a plain blank.
const NBSP = "\u00a0"

// NoBreak holds all words of s together.
func NoBreak(s string) string { return strings.ReplaceAll(s, " ", NBSP) }
