// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"errors"
	"fmt"
	"math"

	"github.com/mapprof/mapprof/internal/median"
	"github.com/mapprof/mapprof/workloads"
)

// linearity is how far twice the turns may be off twice the time.
const linearity = 0.05

// LoopTurns takes turns with a loop and an empty one of the same shape, so that
// a machine that gets slower does so for both. The empty loop is taken off. One
// that is twice as long may come third, and must take twice the time: what the
// compiler had done away with, or what doesn't grow with the number, would show
// there. One goroutine at a time.
type LoopTurns struct {
	once, empty              *Loop
	twice                    *Loop     // nil: left out
	onceNS, emptyNS, twiceNS []float64 // a turn, nothing taken off
}

// NewLoopTurns loads the loops; with one that is twice as long, or without.
func NewLoopTurns(spec LoopSpec, twice bool) (l *LoopTurns, err error) {
	l = &LoopTurns{}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if l.once, err = NewLoop(spec); err != nil {
		return l, err
	}
	if twice {
		double := spec
		double.Elements *= 2
		if l.twice, err = NewLoop(double); err != nil {
			return l, err
		}
	}
	spec.Path, spec.ExtraInstructions = "", 0
	l.empty, err = NewLoop(spec)
	return l, err
}

// Code is Loop.Code of the loop itself.
func (l *LoopTurns) Code() (instructions int, jited uint32, err error) { return l.once.Code() }

// Close closes the loops.
func (l *LoopTurns) Close() error {
	var errs []error
	for _, loop := range []*Loop{l.once, l.empty, l.twice} {
		if loop != nil {
			errs = append(errs, loop.Close())
		}
	}
	return errors.Join(errs...)
}

// batch runs each once, and returns what the loop itself took.
func (l *LoopTurns) batch() (ns int64, n int, err error) {
	for _, turn := range []struct {
		l  *Loop
		to *[]float64
	}{{l.empty, &l.emptyNS}, {l.twice, &l.twiceNS}, {l.once, &l.onceNS}} {
		if turn.l == nil {
			continue
		}
		if ns, err = turn.l.Run(); err != nil {
			return 0, 0, err
		}
		*turn.to = append(*turn.to, float64(ns)/float64(l.once.n))
	}
	return ns, l.once.n, nil
}

// metric is what a turn costs more than an empty one, unless nothing is what it
// comes to: a machine was too busy to tell. That is a warning, and so is a loop
// that can't be trusted.
func (l *LoopTurns) metric(r *workloads.Result, name string) (m workloads.Metric, known bool) {
	m = workloads.Metric{Values: minusNeighbours(l.onceNS, l.emptyNS), Unit: "ns/op", Difference: true, How: fmt.Sprintf(
		"in BPF, batches of %d less the median of up to %d empty loops of the same shape around each (%.1f a turn)", l.once.n, 2*neighbours+1, median.Of(l.emptyNS))}
	known = median.Of(m.Values) > 0 && meanOf(m.Values) > 0
	if !known {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s is not known: a loop of it takes no longer than an empty one (median %.2f, mean %.2f ns a turn; is the machine busy?)",
			name, median.Of(m.Values), meanOf(m.Values)))
	}
	if l.twice == nil {
		return m, known
	}
	ratio := median.Of(l.twiceNS) / median.Of(l.onceNS)
	m.How += fmt.Sprintf("; %d take %.3f times as long as %d", l.twice.n, ratio, l.once.n)
	if math.Abs(ratio/2-1) > linearity {
		r.Warnings = append(r.Warnings, fmt.Sprintf(
			"%s: %d take %.3f times as long as %d, not 2 within %.0f %%: its cost can't be trusted (is the machine busy?)",
			name, l.twice.n, ratio, l.once.n, linearity*100))
	}
	return m, known
}

func meanOf(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// neighbours is how many bases on either side minusNeighbours takes.
const neighbours = 2

// minusNeighbours takes off each value the median of the bases around it: what slows
// the machine down for a while is in both, what stops it once in none.
func minusNeighbours(values, bases []float64) []float64 {
	out := make([]float64, len(values))
	for j, v := range values {
		out[j] = v - median.Of(bases[max(0, j-neighbours):min(len(bases), j+neighbours+1)])
	}
	return out
}
