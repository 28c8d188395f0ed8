// SPDX-License-Identifier: Apache-2.0

// Package analyze says what a run means: statistics of histograms, memory in
// limbo, the merging of trials into scenarios, and pprof profiles.
//
// In: deaths, histograms and runs of package results. Out: the figures of
// run.json that are not measured but derived, warnings about them, and
// profile.pb.gz. It may not know the kernel, the probes, QEMU or a terminal:
// it imports results and nothing else of ours, and builds, tests and runs
// anywhere.
//
// Totals are exact: integer sums of nanoseconds, bytes, and bytes ×
// nanoseconds, so that neither the order of deaths nor the number of trials
// changes them. Nothing here is safe for concurrent use.
package analyze
