// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/export"
	"github.com/mapprof/mapprof/analyze/gate"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/model"
)

// verdictHeadline is the first thing that is read.
func verdictHeadline(v *gate.Verdict) string {
	blocking, worse, open, advised := 0, 0, 0, 0
	for _, c := range v.Checks {
		switch {
		case c.Action == gate.ActionBlock && c.Result == gate.VerdictRegression:
			worse++
		case c.Action == gate.ActionBlock && c.Result == gate.VerdictInconclusive:
			open++
		case c.Action == gate.ActionAdvise && c.Result == gate.VerdictRegression:
			advised++
		}
		if c.Action == gate.ActionBlock {
			blocking++
		}
	}
	var text string
	switch {
	case v.Verdict == gate.VerdictRegression:
		text = fmt.Sprintf("REGRESSION: %d of %s got worse", worse, model.Plural(uint64(blocking), "blocking metric"))
	case v.Verdict == gate.VerdictPass && blocking == 0:
		text = "PASS: nothing here blocks"
	case v.Verdict == gate.VerdictPass:
		text = fmt.Sprintf("PASS: %s shown to be within limits", model.Plural(uint64(blocking), "blocking metric"))
	case len(v.Reasons) > 0:
		text = "INCONCLUSIVE: " + plainName(v.Reasons[0])
		if n := len(v.Reasons) - 1; n > 0 {
			text += fmt.Sprintf(" (and %d more)", n)
		}
	default:
		text = fmt.Sprintf("INCONCLUSIVE: nothing can be said of %d of %s", open, model.Plural(uint64(blocking), "blocking metric"))
	}
	if advised > 0 {
		text += fmt.Sprintf("; %s that only advise got worse", model.Plural(uint64(advised), "metric"))
	}
	return text
}

// WriteVerdict prints a gate's verdict for a person, the verdict first.
func WriteVerdict(w io.Writer, v *gate.Verdict, o Options) error {
	if o.Width <= 0 {
		o.Width, o.pipe = defaultWidth, true
	}
	p := &printer{o: o}
	headline := wrap(verdictHeadline(v), o.Width, 2)
	if o.Color {
		headline = bold(headline)
	}
	p.line(headline)
	p.line(wrap(subjectLine(v), o.Width, 2))
	if len(v.Reasons) > 1 {
		p.blankLine()
		for _, r := range v.Reasons {
			p.note("reason", plainText(r))
		}
	}
	for _, group := range checkGroups(v) {
		for _, action := range []string{gate.ActionBlock, gate.ActionAdvise} {
			if g := verdictGrid(v, group, action, o); len(g.rows) > 0 {
				p.blankLine()
				p.line(wrap(actionTitle(group, action), o.Width, 2))
				p.fitted(g, "of", "n", "at least", "at most", "baseline")
			}
		}
	}
	p.blankLine()
	for _, r := range checkReasons(v) {
		p.note(r.result, r.text())
	}
	if text := quietText(v); text != "" {
		p.note("advice", text)
	}
	for _, n := range v.Notes {
		p.note("note", plainText(n))
	}
	_, err := w.Write(bytes.TrimRight(p.buf.Bytes(), "\n"))
	if err == nil {
		_, err = io.WriteString(w, "\n")
	}
	return err
}

func plainText(s string) string {
	return strings.NewReplacer("::", ": :", "##[", "## [").Replace(safetext.Text(s))
}

func subjectLine(v *gate.Verdict) string {
	text := fmt.Sprintf("candidate %s against baseline %s", plainName(v.Candidate), plainName(v.Baseline))
	if v.Clock != "" {
		text += ", " + plainName(v.Clock) + " clock"
	}
	return text
}

// checkGroups lists the groups of scenarios, in order.
func checkGroups(v *gate.Verdict) []string {
	var out []string
	for _, c := range v.Checks {
		if !slices.Contains(out, c.Group) {
			out = append(out, c.Group)
		}
	}
	return out
}

func actionTitle(group, action string) string {
	if action == gate.ActionBlock {
		return plainName(group) + ": what blocks"
	}
	return plainName(group) + ": what advises, as far as it changed"
}

// verdictGrid has every metric that blocks, and of those that advise the ones
// that changed.
func verdictGrid(v *gate.Verdict, group, action string, o Options) *grid {
	t := &grid{header: []string{"metric", "verdict", "baseline", "candidate", "change", "at least", "at most", "limit", "n", "of"},
		left: map[int]bool{0: true, 1: true}, bold: map[int]bool{}, color: o.Color}
	for _, c := range v.Checks {
		if c.Action != action || c.Group != group || action == gate.ActionAdvise && quiet(c) {
			continue
		}
		if c.Result == gate.VerdictRegression {
			t.bold[len(t.rows)] = true
		}
		change, least, most := model.None, "", ""
		if c.Change != nil {
			change, least, most = changeOf(&c, &c.Change.Estimate), changeOf(&c, c.Change.Lo), changeOf(&c, c.Change.Hi)
		}
		samples := ""
		if c.Samples > 0 {
			samples = strconv.FormatUint(c.Samples, 10)
		}
		n := strconv.Itoa(c.Base.N)
		if c.Candidate.N != c.Base.N {
			n += "+" + strconv.Itoa(c.Candidate.N)
		}
		t.add(metricText(c.Metric, c.Unit), c.Result, figureText(c.Base.Median, c.Base.N, c.Unit),
			figureText(c.Candidate.Median, c.Candidate.N, c.Unit), change, least, most, limitText(c), n, samples)
	}
	return t
}

func quiet(c gate.Check) bool {
	return c.Result == gate.VerdictPass || c.Result == gate.VerdictInconclusive
}

// quietText counts the metrics that advise and found nothing.
func quietText(v *gate.Verdict) string {
	pass, open := 0, 0
	for _, c := range v.Checks {
		switch {
		case c.Action != gate.ActionAdvise:
		case c.Result == gate.VerdictPass:
			pass++
		case c.Result == gate.VerdictInconclusive:
			open++
		}
	}
	var parts []string
	if pass > 0 {
		parts = append(parts, model.Plural(uint64(pass), "metric")+" that would only advise did not change")
	}
	if open > 0 {
		parts = append(parts, "nothing can be said of "+model.Plural(uint64(open), "metric")+" that would only advise")
	}
	return strings.Join(parts, "; ")
}

// checkReason is one reason and the blocking metrics that share it.
type checkReason struct {
	result, reason string
	metrics        []string
}

func (r *checkReason) text() string {
	return strings.Join(r.metrics, ", ") + ": " + plainText(r.reason)
}

func checkReasons(v *gate.Verdict) []*checkReason {
	var out []*checkReason
	for _, c := range v.Checks {
		if c.Reason == "" || c.Action != gate.ActionBlock {
			continue
		}
		name := plainName(c.Metric)
		if len(checkGroups(v)) > 1 {
			name = plainName(c.Group) + " " + name
		}
		i := slices.IndexFunc(out, func(r *checkReason) bool { return r.result == c.Result && r.reason == c.Reason })
		if i < 0 {
			i = len(out)
			out = append(out, &checkReason{result: c.Result, reason: c.Reason})
		}
		out[i].metrics = append(out[i].metrics, name)
	}
	return out
}

// changeOf is a change, or a bound of one, relative to the baseline; nil: there
// are too few trials for it.
func changeOf(c *gate.Check, change *float64) string {
	if change == nil {
		return "∞"
	}
	if c.Base.Median == 0 {
		return figureText(*change, 1, c.Unit)
	}
	relative := *change / math.Abs(c.Base.Median)
	return relativeText(&relative, c.Base.Median, c.Method == compare.MethodSpread)
}

// limitText is how much worse a metric may be.
func limitText(c gate.Check) string {
	value := c.Margin.Value
	if c.Better == compare.BetterHigher {
		value = -value
	}
	if c.Change == nil {
		return strconv.FormatFloat(100*c.Margin.Relative, 'g', 3, 64) + "%"
	}
	return changeOf(&c, &value)
}

// WriteVerdictJSON prints a verdict with every digit.
func WriteVerdictJSON(w io.Writer, v *gate.Verdict) error { return model.WriteJSON(w, v) }

// WriteVerdictMarkdown prints a verdict for a page: a step summary, a comment.
func WriteVerdictMarkdown(w io.Writer, v *gate.Verdict) error {
	var b bytes.Buffer
	mark := map[string]string{gate.VerdictPass: "✅", gate.VerdictRegression: "❌", gate.VerdictInconclusive: "⚠️"}[v.Verdict]
	b.WriteString("## " + mark + " mapprof gate: " + markdown(verdictHeadline(v)) + "\n\n" + markdown(subjectLine(v)) + "\n")
	if len(v.Reasons) > 0 {
		b.WriteByte('\n')
	}
	for _, r := range v.Reasons {
		b.WriteString("- " + markdown(r) + "\n")
	}
	for _, group := range checkGroups(v) {
		for _, action := range []string{gate.ActionBlock, gate.ActionAdvise} {
			if g := verdictGrid(v, group, action, Options{}); len(g.rows) > 0 {
				b.WriteString("\n### " + markdown(actionTitle(group, action)) + "\n\n")
				markdownTable(&b, g)
			}
		}
	}
	for _, r := range checkReasons(v) {
		b.WriteString("\n- " + markdown(r.result+": "+r.text()))
	}
	if text := quietText(v); text != "" {
		b.WriteString("\n- " + markdown(text))
	}
	b.WriteString("\n")
	for _, n := range v.Notes {
		b.WriteString("\n- " + markdown(n))
	}
	_, err := w.Write(append(bytes.TrimRight(b.Bytes(), "\n"), '\n'))
	return err
}

// WriteVerdictCSV prints one line for each metric; the verdict is in each.
func WriteVerdictCSV(w io.Writer, v *gate.Verdict) error {
	cw := csv.NewWriter(w)
	_ = cw.Write([]string{"verdict", "group", "metric", "unit", "action", "result", "base_n", "base_median", "candidate_n", "candidate_median", "relative",
		"change", "change_lo", "change_hi", "margin", "samples", "p", "p_holm", "need_trials", "reason"})
	number := func(p *float64) string {
		if p == nil {
			return ""
		}
		return strconv.FormatFloat(*p, 'g', -1, 64)
	}
	center := func(c compare.Center) (string, string) {
		if c.N == 0 {
			return "0", ""
		}
		return strconv.Itoa(c.N), number(&c.Median)
	}
	for _, r := range v.Reasons {
		_ = cw.Write([]string{v.Verdict, "", "", "", "", gate.VerdictInconclusive, "", "", "", "", "", "", "", "", "", "", "", "", "", export.CSVCell(r)})
	}
	for _, c := range v.Checks {
		bn, bm := center(c.Base)
		cn, cm := center(c.Candidate)
		var estimate, lo, hi *float64
		if c.Change != nil {
			estimate, lo, hi = &c.Change.Estimate, c.Change.Lo, c.Change.Hi
		}
		_ = cw.Write([]string{v.Verdict, export.CSVCell(c.Group), export.CSVCell(c.Metric), export.CSVCell(c.Unit), c.Action, c.Result,
			bn, bm, cn, cm, number(c.Relative), number(estimate), number(lo), number(hi), number(&c.Margin.Value),
			strconv.FormatUint(c.Samples, 10), number(c.P), number(c.PHolm), needText(c.Need), export.CSVCell(c.Reason)})
	}
	cw.Flush()
	return cw.Error()
}
