// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"

	"github.com/mapprof/mapprof/analyze/gate/selftest"
	"github.com/mapprof/mapprof/report/model"
)

// PrintSimulation writes what a gate said of simulated pairs in one of Formats.
func PrintSimulation(w io.Writer, cells []selftest.Cell, format string, o Options) error {
	return writers[[]selftest.Cell]{
		json: func(w io.Writer, c []selftest.Cell) error { return model.WriteJSON(w, c) },
		markdown: func(w io.Writer, c []selftest.Cell) error {
			var b bytes.Buffer
			markdownTable(&b, simulationGrid(c, Options{}))
			_, err := w.Write(b.Bytes())
			return err
		},
		csv: func(w io.Writer, c []selftest.Cell) error {
			g := simulationGrid(c, Options{})
			return csv.NewWriter(w).WriteAll(append([][]string{g.header}, g.rows...))
		},
		table: func(w io.Writer, c []selftest.Cell, o Options) error {
			p := &printer{o: o}
			p.grid(simulationGrid(c, o))
			_, err := w.Write(p.buf.Bytes())
			return err
		},
	}.print(w, cells, format, o)
}

// simulationGrid has a row for every kind of pairs: how often the gate said
// what, with exact 95 % intervals.
func simulationGrid(cells []selftest.Cell, o Options) *grid {
	g := &grid{header: []string{"clock", "limit", "trials", "scatter", "change", "pairs", "pass", "inconclusive", "regression"},
		left: map[int]bool{0: true}, color: o.Color}
	percent := func(v float64) string { return strconv.FormatFloat(100*v, 'g', 4, 64) + "%" }
	for i := range cells {
		c := &cells[i]
		rate := func(n int) string { return fmt.Sprintf("%s (%s)", share(n, c.Pairs), intervalOf(&c.Rate, n)) }
		trials := strconv.Itoa(c.Trials)
		if c.MostTurns > 0 {
			trials += fmt.Sprintf(" to %d, %.0f on average", c.MostTurns, c.MeanTurns)
		}
		g.add(c.Clock, percent(c.Margin), trials, percent(c.Scatter), percent(c.Change), strconv.Itoa(c.Pairs),
			rate(c.Pass), rate(c.Inconclusive), rate(c.Regression))
	}
	return g
}
