// SPDX-License-Identifier: Apache-2.0

package html

import (
	"bufio"
	"errors"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/chart"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// page is what the template of a report is filled with.
type page struct {
	Title     string
	Live      *LiveLinks // nil: a file of its own
	CSP       string
	Style     template.CSS
	Script    template.JS
	Alerts    []Status
	More      []Status // alerts that are folded away
	Statuses  []Status
	Headlines []headline
	Owners    []ownersTable
	LiveMaps  []liveTable
	Entries   []*model.Entry
	Hidden    int    // scenarios that the filter leaves out
	Brief     *brief // nil: there is more of each scenario

	PhaseLegend  []string
	BarsTime     template.HTML
	BarsShare    template.HTML
	Percentiles  []phaseChart
	Ridges       []phaseChart
	Memory       *chart.Chart
	Flame        template.HTML
	FlameNote    string
	Several      bool // runs: what differs between them comes first
	Comparisons  []comparison
	History      *historyView // nil: too few runs
	Figures      []figureTable
	Measurements []model.Measurement
	Balance      []balanceRow
	Targets      []targetInfo
	Runs         []runInfo
	Tool         string

	Data pageData
}

// phaseChart is a chart of one phase.
type phaseChart struct {
	Phase string
	*chart.Chart
}

// pageData is what the page's script gets, as JSON.
type pageData struct {
	// Phases names those that have a colour of their own.
	Phases []string         `json:"phases"`
	Plots  []chart.PlotData `json:"plots"`
	Flame  *chart.Flame     `json:"flame,omitempty"`
}

const maxWarningsShown = 4

// ErrNoRuns is returned for a page of nothing.
var ErrNoRuns = errors.New("no runs given")

// maxScenarios bounds what a browser has to show: a table of as many rows takes 18 MB.
const maxScenarios = 1 << 16

// newPage makes the page, with the tables and charts of each scenario unless there are
// more than model.MaxDrawn.
func newPage(runs []*model.Loaded, f model.Filter, facetBy string, links *LiveLinks) (*page, error) {
	if len(runs) == 0 {
		return nil, ErrNoRuns
	}
	entries := model.EntriesOf(runs, f, facetBy)
	if len(entries) > maxScenarios {
		return nil, fmt.Errorf("a page of %d scenarios is more than a browser shows: it has up to %d (mapprof report without -o prints all, --scenario=ID one)", len(entries), maxScenarios)
	}
	// The rows of tables and bars come facet by facet.
	var ordered []*model.Entry
	for _, fc := range model.FacetsOf(entries) {
		ordered = append(ordered, fc.Entries...)
	}
	entries = ordered
	p := &page{
		Live: links, Entries: entries, Alerts: alertsOf(runs, entries), Statuses: statusesOf(entries),
		Several: len(runs) > 1, Targets: targetsOf(runs, entries), Runs: runInfos(runs),
	}
	if len(entries) > model.MaxDrawn {
		p.brief(runs)
	} else {
		p.detailed(runs)
	}
	for _, l := range runs {
		p.Hidden += len(l.Run.Scenarios)
	}
	p.Title = titleOf(runs)
	p.Hidden -= len(entries)
	p.Tool = safetext.Text(strings.TrimSpace(runs[0].Run.Tool.Name + " " + runs[0].Run.Tool.Version))
	for _, c := range p.Comparisons {
		for _, w := range c.Forced {
			p.Alerts = append(p.Alerts, Status{Level: "warn", Text: "Compared all the same, although it isn't comparable: " + safetext.Text(w)})
		}
	}
	// Problems are always in sight; of warnings, a page full of them would
	// hide what they are about.
	if n := slices.IndexFunc(p.Alerts, func(s Status) bool { return s.Level == "warn" }); n >= 0 && len(p.Alerts)-n > maxWarningsShown {
		p.More = p.Alerts[n+maxWarningsShown:]
		p.Alerts = p.Alerts[:n+maxWarningsShown]
	}
	return p, nil
}

// detailed adds what there is of each scenario.
func (p *page) detailed(runs []*model.Loaded) {
	entries := p.Entries
	p.Headlines, p.Comparisons, p.History = headlinesOf(entries, len(runs)), comparisonsOf(runs, entries), historyOf(runs)
	p.Owners, p.LiveMaps = ownersOf(entries), liveMapsOf(entries)
	p.Figures, p.Balance = figureTables(entries), balanceRows(entries)
	scenarios := make([]*results.Scenario, len(entries))
	for i, e := range entries {
		scenarios[i] = e.Scenario
	}
	p.Measurements = model.MeasurementsOf(scenarios)
	p.charts(entries)
}

// brief adds a row for each scenario, and what differs between runs.
func (p *page) brief(runs []*model.Loaded) {
	p.Brief = briefOf(p.Entries, p.Live)
	if p.Several {
		p.Comparisons = comparisonsOf(runs, p.Entries)
	}
	for i := range p.Comparisons {
		p.Comparisons[i].shorten()
	}
	p.flame(chart.NewFlame(p.Entries, false))
	p.Data.Flame = nil
}

// titleOf names the runs; the first is what the others are compared with.
func titleOf(runs []*model.Loaded) string {
	var others []string
	for _, l := range runs[1:] {
		others = append(others, l.Name)
	}
	if len(others) == 0 {
		return runs[0].Name
	}
	return strings.Join(others, ", ") + " against " + runs[0].Name
}

func (p *page) charts(entries []*model.Entry) {
	for _, phase := range model.ColoredPhases() {
		p.Data.Phases = append(p.Data.Phases, phase.Name)
	}
	phases := model.ShownPhases(entries)
	p.PhaseLegend = chart.BarPhases(entries, phases)
	for _, phase := range phases {
		if c := chart.Percentiles(entries, phase); c != nil {
			p.Percentiles = append(p.Percentiles, phaseChart{phase, c})
			p.Data.Plots = append(p.Data.Plots, c.Data()...)
		}
		if c := chart.Ridges(entries, phase); c != nil {
			p.Ridges = append(p.Ridges, phaseChart{phase, c})
		}
	}
	if len(p.PhaseLegend) > 0 {
		p.BarsTime, p.BarsShare = chart.PhaseBars(entries, false), chart.PhaseBars(entries, true)
	}
	if p.Memory = chart.Memory(entries); p.Memory != nil {
		p.Data.Plots = append(p.Data.Plots, p.Memory.Data()...)
	}
	p.flame(chart.NewFlame(entries, true))
}

func (p *page) flame(flame *chart.Flame) {
	if p.Flame = flame.Draw(); p.Flame != "" {
		p.Data.Flame = flame
		if flame.Dropped > 0 {
			p.FlameNote = fmt.Sprintf("The %d smallest stacks are left out.", flame.Dropped)
		}
	}
}

// Write writes one file that shows runs, with everything in it: it needs
// no network, and shows all but the pointing without JavaScript. Its own
// policy allows it to load nothing and to run nothing but its own script.
func Write(w io.Writer, runs []*model.Loaded) error {
	p, err := newPage(runs, model.Filter{}, "", nil)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	style := pageStyle()
	p.Style, p.Script = template.CSS(style), template.JS(pageScript)
	p.CSP = fmt.Sprintf("default-src 'none'; script-src '%s'; style-src '%s'; base-uri 'none'; form-action 'none'",
		sourceHash(pageScript), sourceHash(style))
	return p.write(w)
}

// write writes the page as it is made: that of many scenarios needs no memory for all.
func (p *page) write(w io.Writer) error {
	b := bufio.NewWriterSize(w, 64<<10)
	if err := errors.Join(pageTemplate.ExecuteTemplate(b, "page.html", p), b.Flush()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
