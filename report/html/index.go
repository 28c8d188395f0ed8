// SPDX-License-Identifier: Apache-2.0

package html

import (
	"fmt"
	"io"
)

// Index is the list of runs.
type Index struct {
	Runs         []IndexRow
	Version      string
	Selects      []Choice
	Find         string // what is looked for
	Hidden       int    // runs that the filter leaves out
	Total        int
	Roots        []string
	NotesProblem string
}

// IndexRow is a run, or why there is none.
type IndexRow struct {
	ID, Name, Href, Err            string
	Started                        string
	Workloads, Kernels, Strategies []string
	MapTypes                       []string
	Limbo                          string
	Deaths                         string
	Trials                         int
	Tags                           []Status
	Note                           RunNote
	StarHref                       string // empty: this run can't have one
}

// WriteIndex writes the list of runs.
func WriteIndex(w io.Writer, p *Index) error {
	if err := pageTemplate.ExecuteTemplate(w, "index.html", p); err != nil {
		return fmt.Errorf("write list of runs: %w", err)
	}
	return nil
}
