// SPDX-License-Identifier: Apache-2.0

package export

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/internal/median"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

func init() {
	registerExport(Format{"github-action-benchmark", "the GitHub action of that name, customSmallerIsBetter: medians over trials", writeGitHub})
}

// githubFigure is an entry of the action's customSmallerIsBetter.
type githubFigure struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	Value float64 `json:"value"`
	Range string  `json:"range,omitempty"`
	Extra string  `json:"extra,omitempty"`
}

// writeGitHub writes the figures of which less is better, each with half of the
// distance between its least and its greatest trial. The action draws a chart by
// the name over many runs: it has the kernel only where the run has several.
func writeGitHub(d *results.Dir, w io.Writer) error {
	kernels := map[string]bool{}
	for i := range d.Run.Scenarios {
		kernels[d.Run.Scenarios[i].KernelName()] = true
	}
	var out []githubFigure
	for i := range d.Run.Scenarios {
		s := &d.Run.Scenarios[i]
		figures, err := compare.FiguresOf(s)
		if err != nil {
			return fmt.Errorf("export github-action-benchmark: %w", err)
		}
		parts := []string{safetext.Name(s.Workload), safetext.Name(s.Strategy.Requested)}
		if len(kernels) > 1 {
			parts = append(parts, safetext.Name(s.KernelName()))
		}
		for _, f := range figures {
			if f.Better == compare.BetterHigher {
				continue
			}
			g := githubFigure{
				Name: strings.Join(append(slices.Clone(parts), safetext.Name(f.Name)), "/"), Unit: safetext.Name(f.Unit), Value: median.Of(f.Values),
				Extra: fmt.Sprintf("%s, %s, clock %s, trials %d", safetext.Name(s.KernelName()), safetext.Name(d.Run.Tool.Version),
					safetext.Name(d.Run.Targets[s.TargetIx].Clock), len(f.Values)),
			}
			if len(f.Values) > 1 {
				g.Range = fmt.Sprintf("± %.3g", (slices.Max(f.Values)-slices.Min(f.Values))/2)
			}
			out = append(out, g)
		}
	}
	if len(out) == 0 {
		return empty("github-action-benchmark", "figures", d.Run)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(out); err != nil {
		return fmt.Errorf("export github-action-benchmark: %w", err)
	}
	return nil
}
