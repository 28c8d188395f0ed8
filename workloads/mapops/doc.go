// SPDX-License-Identifier: Apache-2.0

// Package mapops is what workloads share: raw bpf(2) calls for elements and
// batches, loops of lookups in BPF, the order of keys, and how one way to an
// element is timed, without a probe and with it, in turns.
//
// In: maps, the names of paths and patterns, and a count. Out: nanoseconds for
// an operation, as a workloads.Metric; and the proof that several ways to the
// elements of an array lead to the same ones (Addressing).
//
// It knows what a workload is, and none of them. Whatever it makes belongs to
// its caller, who closes it, and is for one goroutine at a time unless it says
// otherwise.
package mapops
