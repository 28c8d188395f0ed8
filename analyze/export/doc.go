// SPDX-License-Identifier: Apache-2.0

// Package export writes a run in the formats of other tools, one file each.
//
// In: a run directory. Out: benchfmt, CSV, github-action-benchmark's JSON,
// HdrHistogram's log, OpenMetrics, Prometheus' text format or Chrome's trace on a
// writer. A format registers itself with its name and who reads it. Units stand
// in every name, a figure without data is left out, and names, which are
// strangers', are escaped as each format wants it.
package export
