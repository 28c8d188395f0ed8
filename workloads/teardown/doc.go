// SPDX-License-Identifier: Apache-2.0

// Package teardown is the workload that lets an outer map die with the inner maps in
// it, and updates an outer map in ways that fail.
//
// In: the type of the outer map and how many inner maps it has. Out: the deaths of all
// these, and of one that was taken out of the outer map while a file descriptor
// held it; how long updates take that fail or succeed, and how many of them wait for a
// grace period. The kernel commit behind it is 20c20bd11a13 (need_defer, 6.8).
//
// It knows no other workload, and of probes only workloads.Tracer. One goroutine
// measures, locked to its thread; Setup fills the outer map with many.
package teardown
