// SPDX-License-Identifier: Apache-2.0

// Package manual answers mapprof help: of a command, a workload, a phase or a metric. It
// writes the same as man pages, and as the Markdown of docs/reference.
//
// In: the commands, the workloads that are registered, the table of phases. Out: text
// for a terminal, and pages. What a workload or a phase is stands in their tables, and
// nowhere in here; metrics have their table here, with where a phase comes from in the
// kernel. It runs nothing.
package manual
