// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"fmt"
	"strings"
)

// writeByProgram writes where the probes' time goes: for each program how often it
// runs for a death, and how long.
func writeByProgram(w *strings.Builder, churns []watchedChurn, measured []watchedResult) {
	for i, c := range churns {
		r := measured[i].ByProgram
		if r == nil || r.Freed == 0 {
			continue
		}
		deaths := float64(r.Freed)
		fmt.Fprintf(w, "%s, by program: one round of %d deaths with BPF's statistics on. Of the two readings of the clock that these take a run, one is in each figure:\n\n", c.Name, r.Freed)
		w.WriteString("| program | copies | runs a death | ns a run | ns a death |\n|---|---:|---:|---:|---:|\n")
		var runs, ns uint64
		for _, p := range r.Programs {
			runs, ns = runs+p.Runs, ns+p.NS
			if p.Runs > 0 {
				fmt.Fprintf(w, "| %s | %d | %.2f | %.0f | %.0f |\n", p.Program, p.Copies, float64(p.Runs)/deaths, float64(p.NS)/float64(p.Runs), float64(p.NS)/deaths)
			}
		}
		if runs > 0 {
			fmt.Fprintf(w, "| all | | %.2f | %.0f | %.0f |\n\n", float64(runs)/deaths, float64(ns)/float64(runs), float64(ns)/deaths)
		}
	}
}
