// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"slices"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/internal/median"
	"github.com/mapprof/mapprof/workloads"
)

// A machine that is slower half of the time, and stands still now and then: a
// turn costs 2 more than an empty one whatever happens, and no cost is negative.
func TestMinusNeighbours(t *testing.T) {
	var once, empty []float64
	for j := range 40 {
		slow := 0.0
		if j >= 11 && j < 31 {
			slow = 15
		}
		once, empty = append(once, 30+slow), append(empty, 28+slow)
	}
	empty[5], empty[20], once[33] = 4000, 4000, 4000
	got := minusNeighbours(once, empty)
	off := 0
	for j, v := range got {
		if v != 2 && j != 33 {
			off++
		}
	}
	if median.Of(got) != 2 || slices.Min(got) < 0 || off > 0 || got[33] != 3972 {
		t.Errorf("%v", got)
	}
	if first := median.Of(once) - median.Of(empty[:20]); first == 2 {
		t.Error("empty loops that all come first would do as well: this shows nothing")
	}
	if got := minusNeighbours([]float64{5}, []float64{3}); !slices.Equal(got, []float64{2}) {
		t.Errorf("one turn: %v", got)
	}
}

func TestLoopMetricWarns(t *testing.T) {
	for _, tt := range []struct {
		once, empty, twice float64
		want               string
	}{
		{30, 28, 60, ""},
		{30, 28, 0, ""}, // no loop twice as long
		{28, 28, 56, "no longer than an empty one (median 0.00, mean 0.00 ns a turn"},
		{27, 28, 0, "no longer than an empty one (median -1.00, mean -1.00 ns a turn"},
		{30, 28, 64, "128 take 2.133 times as long as 64, not 2 within 5 %"},
	} {
		l := LoopTurns{once: &Loop{n: 64}, onceNS: []float64{tt.once}, emptyNS: []float64{tt.empty}}
		if tt.twice > 0 {
			l.twice, l.twiceNS = &Loop{n: 128}, []float64{tt.twice}
		}
		var r workloads.Result
		m, known := l.metric(&r, "lookup.inlined")
		if known != (tt.once > tt.empty) || m.Values[0] != tt.once-tt.empty {
			t.Errorf("%+v: %+v, known: %v", tt, m, known)
		}
		if text := strings.Join(r.Warnings, "\n"); tt.want == "" && text != "" || !strings.Contains(text, tt.want) {
			t.Errorf("%+v warns %q", tt, text)
		}
	}
}
