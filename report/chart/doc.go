// SPDX-License-Identifier: Apache-2.0

// Package chart draws: bars of phases, lines by percentile and over time,
// distributions and flame graphs, as SVG that is there without a script.
//
// In: entries and curves of package model. Out: HTML that a page takes as it
// is, and the same data for the page's script, which replaces a chart by one
// that can be pointed at. A chart of nothing is nil or empty, never an empty
// frame. It knows colours as CSS classes only, and neither page nor server.
//
// Whatever comes from a run is escaped here. There are no style attributes, so
// that a page's policy can forbid them.
package chart
