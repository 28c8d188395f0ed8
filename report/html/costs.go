// SPDX-License-Identifier: Apache-2.0

package html

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// probePrefix starts the metrics that are what the probe adds to a path.
const probePrefix = "probe."

// costRow is what a lookup by one path costs.
type costRow struct {
	Path, N, P50, P99, Max string
	Function               string // median of the kernel's function, as the probe sees it
	Probe                  string // median of what the probe adds
}

func costRows(s *results.Scenario) []costRow {
	p50 := func(name string) string {
		m := s.Metrics[name]
		return model.MetricCells(m)[0]
	}
	var rows []costRow
	for _, c := range model.LookupCosts(s) {
		cells := model.MetricCells(c.Metric)
		rows = append(rows, costRow{
			Path: model.MetricName(c.Path, c.Metric), N: model.CountCell(c.Metric.N, true), P50: cells[0], P99: cells[2], Max: cells[3],
			Function: p50(model.LookupPrefix + c.Path + ".function"), Probe: p50(probePrefix + c.Path),
		})
	}
	return rows
}

// costSentence says what a lookup costs, and what of the probe's own cost is
// not in that.
func costSentence(list []*model.Entry, kernel string) (out []span, blame string) {
	var added []string
	for _, e := range list {
		for _, c := range model.LookupCosts(e.Scenario) {
			start := ", "
			if len(out) == 0 {
				start = "On " + kernel + " " + model.CostOf(e.Scenario) + " costs "
			}
			text := model.MetricCells(c.Metric)[0]
			if !strings.HasPrefix(c.Metric.Unit, "ns") {
				text += "\u00a0" + safetext.Name(strings.TrimSuffix(c.Metric.Unit, "/op"))
			}
			out = append(out, span{Text: start},
				span{Text: text, Figure: true, Value: strconv.FormatFloat(c.Metric.P50, 'g', -1, 64), Scenario: e.Scenario.ID, Class: e.Color},
				span{Text: " by path " + safetext.Name(c.Path)})
			if m := e.Scenario.Metrics[probePrefix+c.Path]; m.N > 0 {
				added = append(added, fmt.Sprintf("%s to path %s", model.MetricCells(m)[0], safetext.Name(c.Path)))
			}
		}
	}
	if len(out) == 0 {
		for _, e := range list {
			if waits := model.CallWaits(e.Scenario); waits != "" {
				return []span{{Text: "On " + kernel + ": " + waits + "."}}, ""
			}
		}
		return []span{{Text: "On " + kernel + " no lookup was measured."}}, ""
	}
	if len(added) > 0 {
		blame = "While it is attached, the probe adds " + listed(added) + "; nothing was taken off for that."
	}
	return append(out, span{Text: "."}), blame
}

// findingsOf is what the workload found to be so, once for all trials.
func findingsOf(s *results.Scenario) []string {
	var out []string
	seen := map[string]bool{}
	for _, t := range s.Trials {
		for _, f := range t.Findings {
			if !seen[f] {
				seen[f] = true
				out = append(out, safetext.Text(f))
			}
		}
	}
	return out
}

// listed joins as a sentence does.
func listed(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}
