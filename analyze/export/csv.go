// SPDX-License-Identifier: Apache-2.0

package export

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

func init() {
	registerExport(Format{"csv", "spreadsheets: one line per scenario, trial and metric", writeCSV})
	registerExport(Format{"hlog", "HdrHistogram's tools: every histogram, tagged scenario/trial/phase", writeHlog})
}

func writeCSV(d *results.Dir, w io.Writer) error {
	cw, some := csv.NewWriter(w), false
	_ = cw.Write([]string{"scenario", "workload", "kernel", "strategy_requested", "strategy_observed", "clock", "trial", "metric", "unit", "value"})
	for i := range d.Run.Scenarios {
		s := &d.Run.Scenarios[i]
		figures, err := compare.FiguresOf(s)
		if err != nil {
			return fmt.Errorf("export csv: %w", err)
		}
		for _, f := range figures {
			for j, v := range f.Values {
				some = true
				_ = cw.Write([]string{CSVCell(s.ID), CSVCell(s.Workload), CSVCell(s.Kernel), CSVCell(s.Strategy.Requested),
					CSVCell(s.Strategy.Observed), CSVCell(d.Run.Targets[s.TargetIx].Clock), strconv.Itoa(f.TrialIndexes[j]),
					CSVCell(f.Name), CSVCell(f.Unit), strconv.FormatFloat(v, 'f', -1, 64)})
			}
		}
	}
	if !some {
		return empty("csv", "figures", d.Run)
	}
	cw.Flush()
	if err := cw.Error(); err != nil {
		return fmt.Errorf("export csv: %w", err)
	}
	return nil
}

// CSVCell makes a stranger's name fit for a spreadsheet: one line, and never
// taken for a formula.
func CSVCell(s string) string {
	s = safetext.Name(s)
	if s != "" && strings.ContainsRune("=+-@", rune(s[0])) {
		return "'" + s
	}
	return s
}

// writeHlog gives the log as it is, after reading it to its end.
func writeHlog(d *results.Dir, w io.Writer) error {
	some := false
	if err := d.EachHistogram(func(*hdrhistogram.Histogram) error { some = true; return nil }); err != nil {
		return fmt.Errorf("export hlog: %w", err)
	}
	if !some {
		return errors.New("export hlog: this run has no histograms")
	}
	f, err := d.OpenHistograms()
	if err != nil {
		return fmt.Errorf("export hlog: %w", err)
	}
	defer f.Close()
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("export hlog: %w", err)
	}
	return nil
}
