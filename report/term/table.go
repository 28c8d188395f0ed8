// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// Options say how to print.
type Options struct {
	// Width is what lines should fit in; 0 means 100. Tables choose another
	// layout when it's narrow, down to about 60.
	Width int
	// Color allows terminal colours.
	Color bool
	pipe  bool // Width is 0
	// Brief leaves details out where a run has more figures than a screen has lines, and
	// says so.
	Brief bool
	// Dir is where the run directory is; empty: it isn't mentioned.
	Dir string
}

const (
	defaultWidth = 100
	indent       = 16 // of the notes under the tables
)

// WriteTable prints a run for a person: where the kernel did otherwise than
// was asked first, then for each kernel and workload a sentence and the tables
// with the strategies side by side, then what was lost, what is still pending,
// warnings, and where it all is.
func WriteTable(w io.Writer, run *results.Run, o Options) error {
	if o.Width <= 0 {
		o.Width = defaultWidth
	}
	p := &printer{o: o}
	mismatches := analyze.Mismatches(run)
	for _, m := range mismatches {
		p.alert(m)
	}
	if run.Partial {
		p.alert("partial: " + cmp.Or(run.PartialReason, "not everything that was asked for was done"))
	}
	for _, s := range run.Scenarios {
		for _, t := range s.Trials {
			if err := t.Balance(); err != nil {
				p.alert(fmt.Sprintf("%s: %v", s.ID, err))
			}
			for _, f := range t.Failures {
				p.alert(fmt.Sprintf("%s trial %d: %s", s.ID, t.Index, f))
			}
		}
	}
	groups := model.JoinKernels(model.GroupsOf(run))
	p.brief = o.Brief && tooMany(groups)
	for _, g := range groups {
		p.group(g)
	}
	if len(run.Scenarios) == 0 {
		p.paragraph("no scenario was run")
	}
	p.notes(run, mismatches)
	_, err := w.Write(p.buf.Bytes())
	return err
}

type printer struct {
	o     Options
	brief bool
	buf   bytes.Buffer
}

func (p *printer) line(s string) {
	p.buf.WriteString(strings.TrimRight(s, " "))
	p.buf.WriteByte('\n')
}

func (p *printer) blankLine() {
	if p.buf.Len() > 0 {
		p.buf.WriteByte('\n')
	}
}

func (p *printer) alert(s string) {
	s = wrap("! "+safetext.Text(s), p.o.Width, 2)
	if p.o.Color {
		s = yellow(s)
	}
	p.line(s)
}

func (p *printer) paragraph(s string) {
	p.blankLine()
	p.line(wrap(s, p.o.Width, 2))
}

func (p *printer) grid(g *grid) {
	p.blankLine()
	for _, l := range g.lines() {
		p.line(l)
	}
}

func (p *printer) group(g *model.Group) {
	p.blankLine()
	text := limboHeadline(g)
	if g.MetricsOnly() {
		text = costHeadline(g)
	}
	headline := wrap(text, p.o.Width, 2)
	if p.o.Color {
		headline = bold(headline)
	}
	p.line(headline)
	p.line(wrap(g.Subtitle(), p.o.Width, 2))
	if g.MetricsOnly() {
		p.beside(g)
		return
	}
	note, grids := phaseGrids(g, p.o)
	if note != "" {
		p.line(wrap(note, p.o.Width, 2))
	}
	for _, t := range append(grids, memoryGrids(g, p.o)...) {
		p.grid(t)
	}
	p.beside(g)
	for _, s := range g.Scenarios {
		p.owners(s)
		p.live(s)
	}
}

func (p *printer) beside(g *model.Group) {
	if p.brief {
		p.inBrief(g)
	} else if t := besideDeathGrid(g, p.o); t != nil {
		p.grid(t)
	}
}

// note prints a named line under the tables.
func (p *printer) note(name, s string) {
	text := wrap(s, max(20, p.o.Width-indent), 0)
	p.line(fmt.Sprintf("%-*s", indent, name) + strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", indent)))
}

func (p *printer) notes(run *results.Run, mismatches []string) {
	p.blankLine()
	for _, s := range run.Scenarios {
		for _, t := range s.Trials {
			if t.Pending != nil && t.Pending.N > 0 {
				p.note("pending", fmt.Sprintf("%s trial %d: %s still in limbo when the trial ended: pending ≥ %s, the oldest ≥ %s",
					safetext.Name(s.ID), t.Index, model.Plural(t.Pending.N, "map"),
					model.FormatDuration(float64(t.Pending.MinNS)), model.FormatDuration(float64(t.Pending.MaxNS))))
			}
		}
	}
	for _, s := range run.Scenarios {
		for i := range s.Trials {
			for _, text := range model.StuckTexts(&s.Trials[i]) {
				p.note("stuck", safetext.Name(s.ID)+": "+text)
			}
		}
	}
	p.rates(run)
	p.commands(run)
	p.outerMaps(run)
	if p.brief {
		p.proofs(run)
	} else {
		p.findings(run)
		p.measurements(run)
	}
	p.counts(run)
	var said []string
	warn := func(prefix string, warnings []string) {
		for _, w := range warnings {
			if !slices.Contains(mismatches, w) && !slices.Contains(said, w) {
				said = append(said, w)
				p.note("warning", safetext.Text(prefix+w))
			}
		}
	}
	warn("", run.Warnings)
	for _, s := range run.Scenarios {
		prefix := s.ID + ": "
		if p.brief && len(run.Scenarios) == 1 {
			prefix = ""
		}
		warn(prefix, s.Warnings)
		for _, t := range s.Trials {
			warn(fmt.Sprintf("%s trial %d: ", s.ID, t.Index), t.Warnings)
		}
	}
	if p.brief {
		p.leftOut(run)
	}
	if p.o.Dir != "" {
		p.note("run directory", safetext.Text(p.o.Dir))
		p.note("next", "mapprof pprof "+safetext.Text(safetext.ShellPath(p.o.Dir))+" -http=:")
	}
}

// rates prints how many operations a second each open loop did of those that
// it was asked for.
func (p *printer) rates(run *results.Run) {
	for _, s := range run.Scenarios {
		if text := model.RateText(&s); text != "" {
			p.note("rate", safetext.Name(s.ID)+": "+text)
		}
	}
}

// commands prints how the programs ended that were recorded, where not well, and how
// many puts raced.
func (p *printer) commands(run *results.Run) {
	for _, s := range run.Scenarios {
		for _, t := range s.Trials {
			if text := model.CommandText(t.Command); text != "" {
				p.note("command", fmt.Sprintf("%s trial %d: %s", safetext.Name(s.ID), t.Index, text))
			}
			if t.PutsUnseen > 0 {
				p.note("raced", fmt.Sprintf("%s trial %d: %s whose last two references were dropped at once: limbo begins at its enqueue",
					safetext.Name(s.ID), t.Index, model.Plural(t.PutsUnseen, "death")))
			}
		}
	}
}

// outerMaps prints what the outer map of each scenario weighs, where that is a
// page or more.
func (p *printer) outerMaps(run *results.Run) {
	for _, s := range run.Scenarios {
		if len(s.Trials) == 0 || s.Trials[0].OuterBytes < 4096 {
			continue
		}
		p.note("outer map", fmt.Sprintf("%s: %s itself, without the maps in it", safetext.Name(s.ID), model.FormatBytes(float64(s.Trials[0].OuterBytes))))
	}
}

// counts prints what was lost, by scenario and kind, and what was left out
// because it was the tracer's own.
func (p *printer) counts(run *results.Run) {
	lost := false
	excluded := map[string]uint64{}
	for _, s := range run.Scenarios {
		if text := results.LossText(s.Loss); text != "none" {
			lost = true
			p.note("loss", safetext.Text(s.ID+": "+text))
		}
		for _, t := range s.Trials {
			for k, v := range t.Excluded {
				excluded[k] += v
			}
		}
	}
	if p.brief && !lost {
		p.note("loss", safetext.Text("none; excluded: "+results.LossText(excluded)))
		return
	}
	if !lost {
		p.note("loss", "none")
	}
	p.note("excluded", safetext.Text(results.LossText(excluded)))
}

func (p *printer) measurements(run *results.Run) {
	scenarios := make([]*results.Scenario, len(run.Scenarios))
	for i := range run.Scenarios {
		scenarios[i] = &run.Scenarios[i]
	}
	for _, h := range model.MeasurementsOf(scenarios) {
		p.note("how", h.Names+": "+h.Method)
	}
}

// findings prints what the workload found to be so.
func (p *printer) findings(run *results.Run) {
	for _, s := range run.Scenarios {
		for _, t := range s.Trials {
			for _, f := range t.Findings {
				p.note("found", safetext.Text(fmt.Sprintf("%s trial %d: %s", s.ID, t.Index, f)))
			}
		}
	}
}
