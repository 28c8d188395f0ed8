// SPDX-License-Identifier: Apache-2.0

// Package report is what a person looks at: the tables of a run on a terminal,
// its JSON, and what the probes see of a target.
//
// In: runs of package results and what package analyze makes of them. Out:
// text on a writer. It measures nothing and derives nothing that isn't in
// run.json or in analyze, and it knows neither kernel nor probes nor where a
// run came from.
//
// Names in a run come from kernels and from strangers: everything that is
// printed is stripped of control sequences first.
package report
