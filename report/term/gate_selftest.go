// SPDX-License-Identifier: Apache-2.0

package term

import (
	"fmt"
	"io"
	"strconv"

	"github.com/mapprof/mapprof/analyze/gate"
	"github.com/mapprof/mapprof/analyze/gate/selftest"
	"github.com/mapprof/mapprof/report/model"
)

// WriteSelfTest prints what a gate said of pairs of which the right answer is
// known: the rates of false positives and of detection.
func WriteSelfTest(w io.Writer, rates []selftest.Rate, failure error, syntheticOnly bool, o Options) error {
	if o.Width <= 0 {
		o.Width = defaultWidth
	}
	p := &printer{o: o}
	missed := 0
	for i := range rates {
		if rates[i].Hits() != rates[i].Pairs {
			missed++
		}
	}
	switch {
	case failure != nil:
		p.line("INCONCLUSIVE: the self-test did not end: " + plainText(failure.Error()))
	case missed > 0:
		p.line(fmt.Sprintf("FAILED: %d of %d kinds of pairs did not always get the right verdict", missed, len(rates)))
	case syntheticOnly:
		p.line("PASS, for made-up pairs; this says nothing about the clock of this machine (--no-vm)")
	default:
		p.line("PASS: the gate says what it should")
	}
	g := &grid{header: []string{"pairs", "source", "must be", "n", "pass", "regression", "inconclusive", "right", "95 % interval", "made of"},
		left: map[int]bool{0: true, 1: true, 2: true, 9: true}, color: o.Color}
	for i := range rates {
		r := &rates[i]
		g.add(plainName(r.Kind), r.Source, r.Want, strconv.Itoa(r.Pairs), strconv.Itoa(r.Pass), strconv.Itoa(r.Regression), strconv.Itoa(r.Inconclusive),
			share(r.Hits(), r.Pairs), intervalOf(r, r.Hits()), plainName(r.Note))
	}
	if len(g.rows) > 0 {
		p.grid(g)
		p.blankLine()
	}
	// What was made up says less than what was measured, so each source has
	// rates of its own.
	for _, source := range []string{selftest.SourceReal, selftest.SourceResampled, selftest.SourceSynthetic} {
		unchanged, falseAlarms, planted, caught := 0, 0, 0, 0
		for _, r := range rates {
			switch {
			case r.Source != source:
			case r.Want == gate.VerdictPass:
				unchanged, falseAlarms = unchanged+r.Pairs, falseAlarms+r.Regression
			case r.Want == gate.VerdictRegression:
				planted, caught = planted+r.Pairs, caught+r.Regression
			}
		}
		if unchanged+planted > 0 {
			p.note(source+" pairs", fmt.Sprintf("false positives %s, detected %s", shareOf(falseAlarms, unchanged), shareOf(caught, planted)))
		}
	}
	_, err := w.Write(p.buf.Bytes())
	return err
}

func share(n, of int) string {
	if of == 0 {
		return model.None
	}
	return strconv.FormatFloat(100*float64(n)/float64(of), 'f', 1, 64) + "%"
}

// shareOf is a share with its interval: 0 of 2 is not 0 %.
func shareOf(n, of int) string {
	r := &selftest.Rate{Pairs: of}
	text := fmt.Sprintf("%d of %d (%s", n, of, share(n, of))
	if of > 0 {
		text += "; " + intervalOf(r, n)
	}
	return text + ")"
}

// intervalOf is the exact confidence interval of how often n of a rate's pairs
// are seen.
func intervalOf(r *selftest.Rate, n int) string {
	if r.Pairs == 0 {
		return model.None
	}
	lo, hi := r.Interval(n)
	return fmt.Sprintf("%.1f–%.1f%%", 100*lo, 100*hi)
}

// rateJSON is a rate with the interval of how often it was right.
type rateJSON struct {
	selftest.Rate
	Right float64 `json:"right"`
	Lo    float64 `json:"right_lo"`
	Hi    float64 `json:"right_hi"`
}

// WriteSelfTestJSON prints the same with every figure.
func WriteSelfTestJSON(w io.Writer, rates []selftest.Rate, failure error) error {
	out := struct {
		Rates   []rateJSON `json:"rates"`
		Failure string     `json:"failure,omitempty"`
	}{Rates: []rateJSON{}}
	for _, r := range rates {
		j := rateJSON{Rate: r, Right: float64(r.Hits()) / float64(max(1, r.Pairs))}
		j.Lo, j.Hi = r.Interval(r.Hits())
		out.Rates = append(out.Rates, j)
	}
	if failure != nil {
		out.Failure = failure.Error()
	}
	return model.WriteJSON(w, out)
}
