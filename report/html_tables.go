// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/analyze"
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

var figureHeader = []string{"n", "p50", "p90", "p99", "max", "mean", "share of limbo"}

func figureTables(entries []*entry) []figureTable {
	var out []figureTable
	for _, f := range facetsOf(entries) {
		t := figureTable{Name: f.Name, What: "phase", Header: figureHeader}
		costs := !slices.ContainsFunc(f.Entries, func(e *entry) bool { return !metricsOnly(e.s) })
		if costs {
			t.What, t.Header = "cost", figureHeader[:len(figureHeader)-1]
		}
		for _, e := range f.Entries {
			rows := phaseRows(e.s)
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

func phaseRows(s *results.Scenario) []figureRow {
	var rows []figureRow
	for _, p := range results.AllPhases() {
		v, ok := s.Phases[p]
		if !ok {
			continue
		}
		c := cells(v, true)
		mean := none
		if v.N > 0 {
			mean = FormatDuration(v.MeanNS)
		}
		share := ""
		if slices.Contains(results.DeathPhases(), p) {
			share = shareCell(s, p)
		}
		note := ""
		if p == results.PhaseUpdateWait {
			note = expedited(s)
		}
		rows = append(rows, figureRow{Phase: p, Phases: true, Note: note, Strong: p == results.PhaseLimbo,
			Cells: append(append([]string{count(v.N, true)}, c...), mean, share)})
	}
	names := make([]string, 0, len(s.Metrics))
	for name := range s.Metrics {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		m := s.Metrics[name]
		mean := none
		if m.N > 0 {
			mean = metricCell(m, m.Mean)
		}
		rows = append(rows, figureRow{Phase: metricName(name, m),
			Cells: append(append([]string{count(m.N, true)}, metricCells(m)...), mean, "")})
	}
	return rows
}

// balanceRow is a scenario's bookkeeping.
type balanceRow struct {
	Label, Color                               string
	Trials                                     int
	Expected, Puts, Freed, InFlight, Lost      uint64
	Pending, Excluded, Loss, Peak, ByteSeconds string
	Bad                                        bool
	NothingFreed                               bool
}

func balanceRows(entries []*entry) []balanceRow {
	var out []balanceRow
	for _, e := range entries {
		r := balanceRow{Label: e.Label, Color: e.Color, Trials: len(e.s.Trials), Loss: results.LossText(e.s.Loss), Pending: "none", NothingFreed: metricsOnly(e.s)}
		excluded := map[string]uint64{}
		for _, t := range e.s.Trials {
			r.Expected, r.Puts, r.Freed = r.Expected+t.Expected, r.Puts+t.Puts, r.Freed+t.Freed
			r.InFlight, r.Lost = r.InFlight+t.InFlight, r.Lost+t.Lost
			for k, v := range t.Excluded {
				excluded[k] += v
			}
			if p := t.Pending; p != nil && p.N > 0 {
				r.Pending = fmt.Sprintf("%d, ≥ %s", p.N, FormatDuration(float64(p.MinNS)))
			}
			r.Bad = r.Bad || t.Balance() != nil
		}
		r.Excluded = results.LossText(excluded)
		r.Bad = r.Bad || r.Loss != "none" || r.Lost > 0
		r.Peak, r.ByteSeconds = none, none
		if r.Freed+r.InFlight > 0 {
			r.Peak = FormatBytes(float64(e.s.Limbo.PeakBytes)) + " in " + plural(e.s.Limbo.PeakMaps, "map")
			r.ByteSeconds = FormatByteSeconds(e.s.Limbo.ByteSeconds)
		}
		out = append(out, r)
	}
	return out
}

// targetInfo is a kernel and its knobs.
type targetInfo struct {
	Run    string
	Title  string
	Facts  []fact
	Knobs  []fact
	Probes []probeRow
	// Missing is how many probes are not attached.
	Missing int
}

type probeRow struct {
	Stage, Function, Mechanism, Reason string
	Required                           bool
}

func targetsOf(runs []*Loaded, entries []*entry) []targetInfo {
	var out []targetInfo
	for ri, l := range runs {
		for ti := range l.Run.Targets {
			if !slices.ContainsFunc(entries, func(e *entry) bool { return e.runIx == ri && e.s.TargetIx == ti }) {
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
	info := targetInfo{Title: analyze.SafeName(t.Kernel.Release)}
	add := func(name, value string) {
		if value != "" {
			info.Facts = append(info.Facts, fact{name, analyze.SafeText(value)})
		}
	}
	add("kind", t.Kind)
	add("build", t.Kernel.Build)
	add("asked for as", t.Kernel.Requested)
	add("accelerator", t.Accel)
	add("clock", t.Clock)
	add("CPUs", strconv.Itoa(t.CPUs))
	add("memory", FormatBytes(float64(t.MemoryBytes)))
	add("QEMU", t.QEMU)
	add("command line", t.Kernel.Cmdline)
	add("image SHA-256", t.Kernel.SHA256)
	names := make([]string, 0, len(t.Kernel.Knobs))
	for k := range t.Kernel.Knobs {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names {
		info.Knobs = append(info.Knobs, fact{analyze.SafeName(k), analyze.SafeText(t.Kernel.Knobs[k])})
	}
	for _, p := range t.Probes {
		r := probeRow{analyze.SafeName(p.Name), analyze.SafeName(p.Function), analyze.SafeName(p.Mechanism), analyze.SafeText(p.Reason), p.Required}
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
	Facts []fact
}

func runInfos(runs []*Loaded) []runInfo {
	var out []runInfo
	for _, l := range runs {
		r := l.Run
		info := runInfo{Name: l.Name}
		add := func(name, value string) {
			if value != "" {
				info.Facts = append(info.Facts, fact{name, analyze.SafeText(value)})
			}
		}
		if !r.Started.IsZero() {
			add("started", r.Started.UTC().Format("2006-01-02 15:04:05 UTC"))
			add("took", FormatDuration(float64(r.Ended.Sub(r.Started))))
		}
		add("command", commandText(r.Command))
		add("mapprof", strings.TrimSpace(r.Tool.Version+" "+r.Tool.Go))
		if r.Host.OS != "" {
			add("host", fmt.Sprintf("%s/%s, kernel %s, %s, %s", r.Host.OS, r.Host.Arch, r.Host.Kernel,
				plural(uint64(max(0, r.Host.CPUs)), "CPU"), FormatBytes(float64(r.Host.MemoryBytes))))
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
