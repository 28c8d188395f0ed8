// SPDX-License-Identifier: Apache-2.0

package model

import (
	"math"
	"strings"
)

// Scale maps values to 0 … 1.
type Scale struct {
	Lo, Hi float64
	Log    bool
	Ticks  []Tick
}

// Tick is a mark on an axis.
type Tick struct {
	Value float64
	Label string // empty: a line without a label
}

// At is where on the axis a value lies; beyond an end, at that end.
func (s Scale) At(v float64) float64 {
	lo, hi := s.Lo, s.Hi
	if s.Log {
		lo, hi, v = math.Log(lo), math.Log(hi), math.Log(math.Max(v, s.Lo))
	}
	if hi <= lo {
		return 0.5
	}
	return math.Max(0, math.Min(1, (v-lo)/(hi-lo)))
}

// LinearScale goes from 0 to a round number at or above hi. unit lists what
// ticks may be multiples of in terms of the labels' units: 1 for times, 1024
// for bytes.
func LinearScale(hi float64, format func(float64) string, binary bool) Scale {
	if !(hi > 0) || math.IsInf(hi, 0) {
		hi = 1
	}
	const want = 4
	unit := 1.0
	if binary {
		for unit*1024 <= hi {
			unit *= 1024
		}
	}
	step := math.Pow(10, math.Floor(math.Log10(hi/unit/want)))
	for _, f := range []float64{1, 2, 5, 10} {
		if hi/unit/(step*f) <= want+0.5 {
			step *= f
			break
		}
	}
	step *= unit
	s := Scale{Hi: math.Ceil(hi/step-1e-9) * step}
	for i := 0; float64(i)*step <= s.Hi*(1+1e-9); i++ {
		v := float64(i) * step
		label := "0"
		if i > 0 {
			label = trimZeros(format(v))
		}
		s.Ticks = append(s.Ticks, Tick{v, label})
	}
	return s
}

// LogScale spans lo … hi, rounded outwards: to decades, or to a 1-2-5 grid
// where that would leave most of the chart empty. fit says how many labels
// there is room for.
func LogScale(lo, hi float64, format func(float64) string, fit int) Scale {
	if !(lo > 0) {
		lo = 1
	}
	if !(hi > lo) || math.IsInf(hi, 0) {
		hi = lo * 10
	}
	s := Scale{Log: true, Lo: roundLog(lo, math.Floor), Hi: roundLog(hi, math.Ceil)}
	decades := math.Log10(s.Hi / s.Lo)
	every := int(math.Ceil(decades / float64(fit)))
	for e := math.Floor(math.Log10(s.Lo)); e <= math.Log10(s.Hi)+1e-9; e++ {
		for _, f := range []float64{1, 2, 5} {
			v := f * math.Pow(10, e)
			if v < s.Lo*(1-1e-9) || v > s.Hi*(1+1e-9) {
				continue
			}
			label := ""
			if f == 1 && math.Mod(math.Abs(e), float64(max(1, every))) == 0 || f != 1 && 3*decades <= float64(fit) {
				label = trimZeros(format(v))
			}
			if f == 1 || label != "" {
				s.Ticks = append(s.Ticks, Tick{v, label})
			}
		}
	}
	return s
}

// roundLog rounds to the next of 1, 2, 5 × 10ⁿ.
func roundLog(v float64, round func(float64) float64) float64 {
	e := math.Pow(10, math.Floor(math.Log10(v)))
	steps := []float64{1, 2, 5, 10}
	if round(0.5) == 0 {
		for i := len(steps) - 1; i >= 0; i-- {
			if steps[i]*e <= v*(1+1e-9) {
				return steps[i] * e
			}
		}
		return e
	}
	for _, f := range steps {
		if f*e >= v*(1-1e-9) {
			return f * e
		}
	}
	return 10 * e
}

// PercentileScale is the HdrHistogram plot's: every decade of 1/(1−q) has the
// same width.
func PercentileScale(hi float64) Scale {
	s := Scale{Hi: math.Max(hi, 1)}
	labels := []string{"min", "90", "99", "99.9", "99.99", "99.999", "99.9999", "99.99999"}
	for i := 0; float64(i) <= s.Hi && i < len(labels); i++ {
		s.Ticks = append(s.Ticks, Tick{float64(i), labels[i]})
		if half := float64(i) + math.Log10(2); i == 0 && half < s.Hi {
			s.Ticks = append(s.Ticks, Tick{half, "50"})
		}
	}
	return s
}

// trimZeros turns "1.00 ms" into "1 ms".
func trimZeros(s string) string {
	n, unit, _ := strings.Cut(s, " ")
	if strings.Contains(n, ".") {
		n = strings.TrimRight(strings.TrimRight(n, "0"), ".")
	}
	if unit == "" {
		return n
	}
	return n + "\u00a0" + unit
}
