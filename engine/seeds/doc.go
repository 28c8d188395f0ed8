// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package seeds holds kernels against the commits that mapprof exists to show: a row
// for each commit, with what it changed, the scenario that shows it, and the figures
// that are taken from its run.
//
// In: kernels, and what does a scenario on one of them. Out: one table, complete
// whatever fails, as text, Markdown or JSON. A commit without a scenario has its
// reason. Scenarios that several rows name run once on each kernel.
//
// It measures nothing itself, and knows no report.
package seeds
