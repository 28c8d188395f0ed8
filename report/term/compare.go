// SPDX-License-Identifier: Apache-2.0

package term

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/model"
)

// effectWords are the effects as a person reads them, in the order in which
// they are summed up.
var effectWords = []struct{ effect, word string }{
	{compare.EffectWorse, "worse"},
	{compare.EffectBetter, "better"},
	{compare.EffectSmall, "changed, but under the threshold"},
	{compare.EffectSame, "without a difference"},
	{compare.EffectFew, "with too few trials"},
	{compare.EffectAbsent, "absent on one side"},
	{compare.EffectUnfit, "in another unit"},
	{compare.EffectLoad, "at another load"},
}

// sideName is A for the first side, then B, C …
func sideName(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return fmt.Sprintf("A%d", i)
}

// verdictLines sum a comparison up, one line for each side that is compared.
func verdictLines(c *compare.Comparison) []string {
	sides := 0
	for _, g := range c.Groups {
		sides = max(sides, len(g.Sides))
	}
	var out []string
	for i := 1; i < sides; i++ {
		counts := c.Count(i)
		var parts []string
		for _, e := range effectWords {
			if n := counts[e.effect]; n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, e.word))
			}
		}
		out = append(out, sideName(i)+" against A: "+cmp.Or(strings.Join(parts, ", "), "nothing to compare"))
	}
	return out
}

// plainName makes a stranger's name fit for a terminal and for the log of a
// CI runner, which takes lines with these marks for commands.
func plainName(s string) string {
	return strings.NewReplacer("::", ": :", "##[", "## [").Replace(safetext.Name(s))
}

func sideLine(i int, s compare.Side) string {
	observed := cmp.Or(plainName(s.Observed), model.None)
	return fmt.Sprintf("%s  %s · kernel %s · %s → %s · %s clock · %s", sideName(i), plainName(s.Label), plainName(s.Kernel),
		plainName(s.Requested), observed, plainName(s.Clock), model.Plural(uint64(s.Trials), "trial"))
}

// WriteComparison prints a comparison for a person: what changed in a line,
// then a table for every group of scenarios.
func WriteComparison(w io.Writer, c *compare.Comparison, o Options) error {
	if o.Width <= 0 {
		o.Width, o.pipe = defaultWidth, true
	}
	p := &printer{o: o}
	for _, l := range verdictLines(c) {
		l = wrap(l, o.Width, 2)
		if o.Color {
			l = bold(l)
		}
		p.line(l)
	}
	for _, f := range c.Forced {
		p.alert("NOT COMPARABLE, compared because --force was given: " + plainName(f))
	}
	for i := range c.Groups {
		g := &c.Groups[i]
		p.blankLine()
		p.line(wrap(plainName(g.Name), o.Width, 2))
		for j, s := range g.Sides {
			p.line("  " + wrap(sideLine(j, s), o.Width-2, 5))
		}
		p.comparison(g)
	}
	p.comparisonNotes(c)
	_, err := w.Write(p.buf.Bytes())
	return err
}

// sidesOf are the indexes of the sides that are compared with the first.
func sidesOf(g *compare.Group) (sides []int) {
	for i := range g.Sides[1:] {
		sides = append(sides, i+1)
	}
	return sides
}

// comparison prints a group's table: one of all sides, or one of each where that is too
// wide.
func (p *printer) comparison(g *compare.Group) {
	sides := sidesOf(g)
	if whole := comparisonGrid(g, p.o, sides...); len(sides) == 1 || p.o.pipe || whole.width() <= p.o.Width {
		p.fitted(whole, "±", certaintyHeader(g))
		return
	}
	for _, i := range sides {
		p.fitted(comparisonGrid(g, p.o, i), "±", certaintyHeader(g))
	}
}

func (p *printer) comparisonNotes(c *compare.Comparison) {
	p.blankLine()
	for _, l := range methodLines(c) {
		p.note("method", l)
	}
	if l := needLine(c); l != "" {
		p.note("trials", l)
	}
	for _, u := range c.Unmatched {
		p.note("left out", plainName(u))
	}
	for _, w := range c.Warnings {
		p.note("warning", safetext.Text(w))
	}
}

func methodLines(c *compare.Comparison) []string {
	var out []string
	for _, deterministic := range []bool{true, false} {
		i := slices.IndexFunc(c.Groups, func(g compare.Group) bool { return g.Deterministic == deterministic })
		if i < 0 {
			continue
		}
		how := "Mann–Whitney over trials"
		if deterministic {
			how = "deterministic clock: medians against the measured spread between trials"
		}
		out = append(out, fmt.Sprintf("%s; p is Holm's over %s, α = %g; changes under %g %% don't count",
			how, model.Plural(uint64(c.Tests), "test"), c.Alpha, 100*c.Groups[i].Threshold))
	}
	return out
}

// needLine says how many trials would be enough, where there are too few.
func needLine(c *compare.Comparison) string {
	need, n := 0, 0
	for _, g := range c.Groups {
		for _, r := range g.Rows {
			for _, cell := range r.Cells {
				if cell.Effect == compare.EffectFew {
					need, n = max(need, cell.Need), n+1
				}
			}
		}
	}
	if n == 0 {
		return ""
	}
	text := fmt.Sprintf("too few to say anything about %s: %d on each side would be enough (--trials %d", model.Plural(uint64(n), "change"), need, need)
	if turn := time.Duration(c.TurnNS); turn > 0 {
		text += ", which would take about " + about(turn, need)
	}
	return text + ")"
}

// about is how long so many turns take, to a minute or a second.
func about(turn time.Duration, n int) string {
	if took := turn.Seconds() * float64(n); took >= 90 {
		return fmt.Sprintf("%.0f min", min(took/60, 1e6))
	}
	return fmt.Sprintf("%.0f s", turn.Seconds()*float64(n))
}

// certaintyHeader is over what certainty returns.
func certaintyHeader(g *compare.Group) string {
	if g.Deterministic {
		return "spread"
	}
	return "p"
}

// comparisonGrid sets some of a group's sides, by their index, beside the base.
func comparisonGrid(g *compare.Group, o Options, sides ...int) *grid {
	t := &grid{header: []string{"metric", "A", "±"}, left: map[int]bool{0: true}, bars: map[int]bool{}, bold: map[int]bool{}, color: o.Color}
	for _, i := range sides {
		t.bars[len(t.header)] = true
		t.header = append(t.header, bar, sideName(i), "±", "change", certaintyHeader(g))
	}
	phase := ""
	for _, r := range g.Rows {
		if of, _, _ := strings.Cut(r.Metric, "/"); of != phase {
			if phase != "" {
				t.rule()
			}
			phase = of
		}
		row := []string{metricText(r.Metric, r.Unit), figureText(r.Base.Median, r.Base.N, r.Unit), precision(r.Base)}
		for _, i := range sides {
			c := &r.Cells[i-1]
			if c.Effect == compare.EffectWorse || c.Effect == compare.EffectBetter {
				t.bold[len(t.rows)] = true
			}
			row = append(row, bar, figureText(c.Center.Median, c.Center.N, r.Unit), precision(c.Center), changeText(c, r.Base.Median, g.Deterministic), certainty(c))
		}
		t.add(row...)
	}
	return t
}

// metricText says the unit where the figures don't.
func metricText(metric, unit string) string {
	name := plainName(metric)
	switch unit {
	case compare.UnitNS, compare.UnitBytes, compare.UnitByteSeconds, "":
		return name
	case "ns/op":
		return name + " (per op)"
	}
	return name + " (" + plainName(unit) + ")"
}

// figureText is a figure whose unit, unless it scales, stands with the metric.
func figureText(v float64, n int, unit string) string {
	switch unit {
	case compare.UnitNS, compare.UnitBytes, compare.UnitByteSeconds, "ns/op":
		return model.FormatFigure(v, n, unit)
	}
	return model.FormatFigure(v, n, "")
}

// precision is the confidence interval around a median, as a share of it.
func precision(c compare.Center) string {
	switch {
	case c.N < 2:
		return ""
	case c.Lo == nil || c.Hi == nil:
		return "∞"
	}
	half := max(*c.Hi-c.Median, c.Median-*c.Lo)
	if c.Median == 0 && half > 0 {
		return model.None // there is no share of 0
	}
	v := half / math.Abs(c.Median)
	if half == 0 || v < 1e-9 {
		return "0%"
	}
	if v < 0.00005 {
		return "<0.01%"
	}
	if v < 0.00995 {
		return strconv.FormatFloat(100*v, 'f', 2, 64) + "%"
	}
	return strconv.FormatFloat(100*v, 'f', 0, 64) + "%"
}

func changeText(c *compare.Cell, base float64, deterministic bool) string {
	change := relativeText(c.Relative, base, deterministic)
	switch c.Effect {
	case compare.EffectAbsent:
		return "absent"
	case compare.EffectUnfit:
		return "other unit"
	case compare.EffectLoad:
		return "other load"
	case compare.EffectSame:
		return "~"
	case compare.EffectFew:
		return change + " ?"
	case compare.EffectSmall:
		return change + " small"
	}
	return change + " " + c.Effect
}

// relativeText is a change relative to a base: as a factor where it is large,
// unless the base is negative and there is none.
func relativeText(r *float64, base float64, deterministic bool) string {
	switch {
	case r == nil:
		return "from 0"
	case *r >= 9.995 && base > 0:
		return "×" + model.Significant(*r+1, false)
	}
	digits := 1
	if deterministic && math.Abs(*r) < 0.0995 {
		digits = 2
	}
	s := strconv.FormatFloat(100*math.Abs(*r), 'f', digits, 64) + "%"
	switch {
	case strings.Trim(s, "0.%") == "":
		return "0%"
	case *r < 0:
		return "−" + s
	}
	return "+" + s
}

// certainty is p on a wall clock and the spread on a deterministic one.
func certainty(c *compare.Cell) string {
	switch {
	case c.Method == compare.MethodSpread && c.Spread != nil:
		return precision(compare.Center{N: 2, Median: 1, Lo: ptr(1 - *c.Spread), Hi: ptr(1 + *c.Spread)})
	case c.Method == compare.MethodMannWhitney && c.PHolm != nil && c.Effect != compare.EffectFew:
		return model.FormatP(*c.PHolm)
	}
	return ""
}

func ptr(v float64) *float64 { return &v }
