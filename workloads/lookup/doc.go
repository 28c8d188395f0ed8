// SPDX-License-Identifier: Apache-2.0

// Package lookup is the workload that measures the cost of a lookup: by the
// system call, by the helper, inlined, and in batches.
//
// In: the type and size of the map, paths and the order of keys. Out: for each
// path the nanoseconds that a lookup takes, without and with a probe on the
// kernel's function behind it. Nothing is freed that would be of interest.
//
// It knows no other workload, and of probes only workloads.Tracer. One
// goroutine measures, locked to its thread; readers have goroutines of their
// own, which end with Run.
package lookup
