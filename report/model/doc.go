// SPDX-License-Identifier: Apache-2.0

// Package model is what a report shows, whatever it is shown on: runs as they
// are loaded, scenarios with their labels, facets and colours, curves and the
// scales to draw them over, and how figures are written.
//
// In: run directories of package results, and what package analyze makes of
// them. Out: plain values and text. It measures nothing, and derives nothing
// that isn't in a run or in analyze. It knows neither terminal nor page, and
// no package beside it in report.
//
// Names in a run come from kernels and from strangers: what is made of them
// here is stripped of control sequences. Whoever prints another string of a
// run does that itself.
package model
