// SPDX-License-Identifier: Apache-2.0

package html

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// figureTable is every figure of a facet's entries.
type figureTable struct {
	Name   string
	What   string // heads the figures' names
	Header []string
	Rows   []figureRow
}

type figureRow struct {
	First   int // of how many rows of an entry this is the first; 0: it isn't
	Label   string
	Color   string
	Phase   string
	Phases  bool // Phase is a phase
	Note    string
	Cells   []string
	Strong  bool
	Divider bool
}

func figureTables(entries []*model.Entry) []figureTable {
	var out []figureTable
	for _, f := range model.FacetsOf(entries) {
		var most uint64
		for _, e := range f.Entries {
			most = max(most, model.MostValues(results.AllPhases(), e.Scenario), model.MostMetricValues(e.Scenario))
		}
		figures := model.Figures(most)
		t := figureTable{Name: f.Name, What: "phase", Header: append([]string{"n"}, figures...)}
		if most != 1 {
			t.Header = append(t.Header, "mean")
		}
		costs := !slices.ContainsFunc(f.Entries, func(e *model.Entry) bool { return !model.MetricsOnly(e.Scenario) })
		if costs {
			t.What = "cost"
		} else {
			t.Header = append(t.Header, "share of limbo")
		}
		for _, e := range f.Entries {
			rows := phaseRows(e.Scenario, most)
			if len(rows) == 0 {
				continue
			}
			rows[0].First, rows[0].Label, rows[0].Color = len(rows), e.Series, e.Color
			rows[0].Divider = len(t.Rows) > 0
			for i := range rows {
				rows[i].Cells = rows[i].Cells[:len(t.Header)]
			}
			t.Rows = append(t.Rows, rows...)
		}
		out = append(out, t)
	}
	return out
}

// phaseRows are the phases and metrics of a scenario, in a table of up to so
// many values.
func phaseRows(s *results.Scenario, most uint64) []figureRow {
	cells := func(n uint64, quantiles []string, mean, share string) []string {
		out := append([]string{model.CountCell(n, true)}, quantiles[:len(model.Figures(most))]...)
		if most != 1 {
			if n <= 1 {
				mean = model.None
			}
			out = append(out, mean)
		}
		return append(out, share)
	}
	var rows []figureRow
	for _, phase := range results.Phases() {
		p := phase.Name
		v, ok := s.Phases[p]
		if !ok {
			continue
		}
		share := ""
		if phase.Kind == results.PartOfDeath {
			share = model.ShareCell(s, p)
		}
		note := ""
		if p == results.PhaseUpdateWait {
			note = model.ExpeditedNote(s) + model.BatchNote(s)
		}
		rows = append(rows, figureRow{Phase: p, Phases: true, Note: note, Strong: phase.Kind == results.WholeDeath,
			Cells: cells(v.N, model.DurationCells(v, true), model.FormatDuration(v.MeanNS), share)})
	}
	names := make([]string, 0, len(s.Metrics))
	for name := range s.Metrics {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		m := s.Metrics[name]
		rows = append(rows, figureRow{Phase: model.MetricName(name, m),
			Cells: cells(m.N, model.MetricCells(m), model.MetricCell(m, m.Mean), "")})
	}
	return rows
}

// balanceRow is a scenario's bookkeeping.
type balanceRow struct {
	Label, Color                               string
	Trials                                     int
	Expected, Puts, Freed, InFlight, Lost      uint64
	Pending, Excluded, Loss, Peak, ByteSeconds string
	Bad, Unbalanced                            bool
	NothingFreed                               bool
}

func balanceRows(entries []*model.Entry) []balanceRow {
	var out []balanceRow
	for _, e := range entries {
		out = append(out, balanceRowOf(e))
	}
	return out
}

func balanceRowOf(e *model.Entry) balanceRow {
	r := balanceRow{Label: e.Label, Color: e.Color, Trials: len(e.Scenario.Trials), Loss: results.LossText(e.Scenario.Loss), Pending: "none", NothingFreed: model.MetricsOnly(e.Scenario)}
	excluded := map[string]uint64{}
	for _, t := range e.Scenario.Trials {
		r.Expected, r.Puts, r.Freed = r.Expected+t.Expected, r.Puts+t.Puts, r.Freed+t.Freed
		r.InFlight, r.Lost = r.InFlight+t.InFlight, r.Lost+t.Lost
		for k, v := range t.Excluded {
			excluded[k] += v
		}
		if p := t.Pending; p != nil && p.N > 0 {
			r.Pending = fmt.Sprintf("%d, ≥ %s", p.N, model.FormatDuration(float64(p.MinNS)))
		}
		r.Unbalanced = r.Unbalanced || t.Balance() != nil
	}
	r.Excluded = results.LossText(excluded)
	r.Bad = r.Unbalanced || r.Loss != "none" || r.Lost > 0
	r.Peak, r.ByteSeconds = model.None, model.None
	if r.Freed+r.InFlight > 0 {
		r.Peak = model.FormatBytes(float64(e.Scenario.Limbo.PeakBytes)) + " in " + model.Plural(e.Scenario.Limbo.PeakMaps, "map")
		r.ByteSeconds = model.FormatByteSeconds(e.Scenario.Limbo.ByteSeconds)
	}
	return r
}

// targetInfo is a kernel and its knobs.
type targetInfo struct {
	Run    string
	Title  string
	Facts  []Fact
	Knobs  []Fact
	Probes []probeRow
	// Missing is how many probes are not attached.
	Missing int
}

type probeRow struct {
	Stage, Function, Mechanism, Reason string
	Required                           bool
}

func targetsOf(runs []*model.Loaded, entries []*model.Entry) []targetInfo {
	var out []targetInfo
	type place struct{ run, target int }
	used := map[place]bool{}
	for _, e := range entries {
		used[place{e.RunIndex, e.Scenario.TargetIx}] = true
	}
	for ri, l := range runs {
		for ti := range l.Run.Targets {
			if !used[place{ri, ti}] {
				continue
			}
			info := targetOf(&l.Run.Targets[ti])
			if len(runs) > 1 {
				info.Run = l.Name
			}
			out = append(out, info)
		}
	}
	return out
}

func targetOf(t *results.Target) targetInfo {
	info := targetInfo{Title: safetext.Name(t.Kernel.Release)}
	add := func(name, value string) {
		if value != "" {
			info.Facts = append(info.Facts, Fact{name, safetext.Text(value)})
		}
	}
	add("kind", t.Kind)
	add("architecture", t.Arch)
	add("build", t.Kernel.Build)
	add("asked for as", t.Kernel.Requested)
	add("accelerator", t.Accel)
	add("clock", t.Clock)
	add("CPUs", model.CPUs(t))
	add("memory", model.FormatBytes(float64(t.MemoryBytes)))
	add("QEMU", t.QEMU)
	add("command line", t.Kernel.Cmdline)
	add("image SHA-256", t.Kernel.SHA256)
	names := make([]string, 0, len(t.Kernel.Knobs))
	for k := range t.Kernel.Knobs {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names {
		info.Knobs = append(info.Knobs, Fact{safetext.Name(k), safetext.Text(t.Kernel.Knobs[k])})
	}
	for _, p := range t.Probes {
		r := probeRow{safetext.Name(p.Name), safetext.Name(p.Function), safetext.Name(p.Mechanism), safetext.Text(p.Reason), p.Required}
		if r.Mechanism == "" {
			info.Missing++
		}
		info.Probes = append(info.Probes, r)
	}
	return info
}

// runInfo is a run's provenance.
type runInfo struct {
	Name  string
	Facts []Fact
}

func runInfos(runs []*model.Loaded) []runInfo {
	var out []runInfo
	for _, l := range runs {
		r := l.Run
		info := runInfo{Name: l.Name}
		add := func(name, value string) {
			if value != "" {
				info.Facts = append(info.Facts, Fact{name, safetext.Text(value)})
			}
		}
		if !r.Started.IsZero() {
			add("started", r.Started.UTC().Format("2006-01-02 15:04:05 UTC"))
			add("took", model.FormatDuration(float64(r.Ended.Sub(r.Started))))
		}
		add("command", commandText(r.Command))
		add("mapprof", strings.TrimSpace(r.Tool.Version+" "+r.Tool.Go))
		if r.Host.OS != "" {
			add("host", fmt.Sprintf("%s/%s, kernel %s, %s, %s", r.Host.OS, r.Host.Arch, r.Host.Kernel,
				model.Plural(uint64(max(0, r.Host.CPUs)), "CPU"), model.FormatBytes(float64(r.Host.MemoryBytes))))
		}
		out = append(out, info)
	}
	return out
}

func commandText(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = a
		if strings.ContainsAny(a, " \t\n\"'$&|;<>()*?[]{}~`\\") || a == "" {
			quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
