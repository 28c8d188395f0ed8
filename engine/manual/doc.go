// SPDX-License-Identifier: Apache-2.0

// Package manual answers mapprof help: of a command, of a workload, or of a phase.
//
// In: the commands, the workloads that are registered, the table of phases. Out: text
// for a terminal. What a workload or a phase is stands in their tables, and nowhere in
// here. It runs nothing.
package manual
