// SPDX-License-Identifier: Apache-2.0

package report

// indexPage is the list of runs.
type indexPage struct {
	Runs    []indexRow
	Version string
	Selects []choice
	Hidden  int // runs that the filter leaves out
	Total   int
	Roots   []string
}

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
