// SPDX-License-Identifier: Apache-2.0

// Package bigarray is the workload that takes one array of any size, past 4 GiB
// too, through its life: create, first touch, lookups and updates by every
// path, and the free.
//
// In: the sizes of the array and of a value, paths and the order of keys. Out:
// the time and the memory of each stage, and a failure for each pair of paths
// by which an index does not lead to the same element.
//
// It knows no other workload, and of probes only workloads.Tracer. One
// goroutine does all of it, locked to its thread.
package bigarray
