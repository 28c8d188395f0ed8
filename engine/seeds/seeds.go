// SPDX-License-Identifier: Apache-2.0

//go:build linux

package seeds

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

// Verdicts.
const (
	Works     = "works"
	FellShort = "fell short"
	NotThere  = "not there" // the kernel lacks it
	NoRow     = "no row yet"
)

// Table is what was seen of each commit.
type Table struct {
	Kernels []string `json:"kernels"`
	Rows    []Row    `json:"rows"`
}

// Row is what was seen of one commit, or of several of one change.
type Row struct {
	Commits   string   `json:"commits"`
	Since     string   `json:"since"`
	What      string   `json:"what"`
	Scenarios []string `json:"scenarios,omitempty"` // what follows mapprof run
	Cells     []Cell   `json:"cells,omitempty"`     // a kernel each, in order
	Why       string   `json:"why,omitempty"`       // there is no scenario
}

// Cell is one commit on one kernel.
type Cell struct {
	Kernel  string   `json:"kernel"` // its release
	Verdict string   `json:"verdict"`
	Figures []string `json:"figures,omitempty"`
	Short   []string `json:"short,omitempty"` // what fell short, or why it is not there
}

// Runner does a scenario on a kernel. The run is nil where nothing was measured.
type Runner func(ctx context.Context, s Scenario, kernel string) (*results.Run, error)

// outcome is what a scenario came to on a kernel.
type outcome struct {
	run *results.Run
	err error
}

// choose returns the rows that have one of the commits; none: all.
func choose(commits []string) ([]row, error) {
	if len(commits) == 0 {
		return rows, nil
	}
	var chosen []row
	found := map[string]bool{}
	for _, r := range rows {
		var takes bool
		for c := range strings.SplitSeq(r.commits, ", ") {
			for _, asked := range commits {
				// Either may be the shorter name of the other.
				if len(asked) >= 7 && (strings.HasPrefix(c, asked) || strings.HasPrefix(asked, c)) {
					takes, found[asked] = true, true
				}
			}
		}
		if takes {
			chosen = append(chosen, r)
		}
	}
	for _, c := range commits {
		if !found[c] {
			return nil, fmt.Errorf("--commit %s: no such row (mapprof seeds --list has all; give seven digits or more)", c)
		}
	}
	return chosen, nil
}

// kernelsOf are what rows are run on, each once, by release: those that were named, or the
// rows' own.
func kernelsOf(rows []row, named []string) []string {
	if named != nil {
		return named
	}
	var all []string
	for _, r := range rows {
		all = append(all, r.kernels(nil)...)
	}
	slices.SortFunc(all, func(a, b string) int { return slices.Compare(numbers(a), numbers(b)) })
	return slices.Compact(all)
}

// numbers are those of a series: 6.12 comes after 6.1.
func numbers(series string) []int {
	var n []int
	for part := range strings.SplitSeq(series, ".") {
		v, _ := strconv.Atoi(part) // of this package's own table
		n = append(n, v)
	}
	return n
}

// kernels are what a row is run on: those that were named, or its own.
func (r *row) kernels(named []string) []string {
	switch {
	case named != nil:
		return named
	case len(r.scenarios) == 0:
		return nil
	case r.on != nil:
		return r.on
	}
	return usual
}

// makeTable does the scenarios of the rows on every kernel that is named; nil: on the
// rows' own. The table is whole whatever
// fails; its error says that something did.
func makeTable(ctx context.Context, rows []row, kernels []string, do Runner) (*Table, error) {
	t := &Table{Kernels: kernelsOf(rows, kernels)}
	outcomes := map[[2]string]outcome{}
	short := 0
	for _, r := range rows {
		out := Row{Commits: r.commits, Since: r.since, What: r.what, Scenarios: r.scenarios, Why: r.why}
		for _, kernel := range r.kernels(kernels) {
			if len(r.scenarios) == 0 {
				break
			}
			c := Cell{Kernel: kernel}
			for _, name := range r.scenarios {
				key := [2]string{name, kernel}
				o, done := outcomes[key]
				if !done {
					if ctx.Err() != nil {
						return t, ctx.Err()
					}
					o = doScenario(ctx, name, kernel, do)
					outcomes[key] = o
				}
				c.add(&r, o)
			}
			if c.Verdict == FellShort {
				short++
			}
			out.Cells = append(out.Cells, c)
		}
		t.Rows = append(t.Rows, out)
	}
	if short > 0 {
		return t, fmt.Errorf("%d of the table's cells fell short", short)
	}
	return t, nil
}

func doScenario(ctx context.Context, name, kernel string, do Runner) outcome {
	s, err := ScenarioNamed(name)
	if err != nil {
		return outcome{err: err}
	}
	run, err := do(ctx, s, kernel)
	return outcome{run, err}
}

// add puts what a scenario came to into a cell. The worst verdict stays.
func (c *Cell) add(r *row, o outcome) {
	verdict := Works
	var lacks *target.MachineError
	switch {
	case r.refusal != "":
		verdict = c.addRefusal(r.refusal, o)
	case errors.As(o.err, &lacks):
		verdict, c.Short = NotThere, append(c.Short, lacks.Reason)
	case o.err != nil || o.run == nil:
		verdict = FellShort
		c.Short = append(c.Short, strings.Split(safetext.Lines(fmt.Sprint(o.err)), "\n")...)
	}
	if o.run != nil {
		for i := range o.run.Scenarios {
			s := &o.run.Scenarios[i]
			c.Kernel = s.KernelName()
			if r.figures != nil {
				for line := range strings.SplitSeq(r.figures(s), "\n") {
					c.Figures = append(c.Figures, safetext.Text(line))
				}
			}
			if r.proof == nil {
				continue
			}
			if wrong := r.proof(s); wrong != "" {
				verdict, c.Short = FellShort, append(c.Short, safetext.Text(wrong))
			}
		}
	}
	order := []string{"", Works, NotThere, FellShort}
	if slices.Index(order, verdict) > slices.Index(order, c.Verdict) {
		c.Verdict = verdict
	}
}

// addRefusal is for maps that a kernel is to refuse.
func (c *Cell) addRefusal(errno string, o outcome) string {
	const refuses = "refuses them as inner maps"
	switch {
	case o.err == nil:
		c.Short = append(c.Short, "the kernel took such inner maps")
		return FellShort
	case strings.Contains(o.err.Error(), refuses) && strings.Contains(o.err.Error(), errno):
		c.Figures = append(c.Figures, "refused: "+errno)
		return Works
	}
	c.Short = append(c.Short, safetext.Text(o.err.Error()))
	return FellShort
}
