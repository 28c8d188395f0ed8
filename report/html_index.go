// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
)

// indexPage is the list of runs.
type indexPage struct {
	Runs    []indexRow
	Version string
	Selects []choice
	Hidden  int // runs that the filter leaves out
	Total   int
	Roots   []string
}

// indexRow is a run, or why there is none.
type indexRow struct {
	ID, Name, Href, Err            string
	Started                        string
	Workloads, Kernels, Strategies []string
	MapTypes                       []string
	Limbo                          string
	Deaths                         string
	Trials                         int
	Tags                           []status
}

// writeIndex writes the list of runs.
func writeIndex(w io.Writer, p *indexPage) error {
	if err := pageTemplate.ExecuteTemplate(w, "index.html", p); err != nil {
		return fmt.Errorf("write list of runs: %w", err)
	}
	return nil
}
