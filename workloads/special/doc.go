// SPDX-License-Identifier: Apache-2.0

// Package special is the workload whose maps have values with special fields: spin
// locks, timers, work queues, kptrs, lists. The kernel cancels timers and work queues when
// the last user lets go of a map, and drops what kptrs refer to and lists hold when it frees
// the map. A map dies by close(2), or as an inner map.
//
// In: the field, the type of map, how many elements and how many of them are filled. Out:
// the deaths of these maps; how long the close(2) takes of the last user, and how long the
// kernel's functions that cancel the fields, of a map and of an element. The kernel commits behind
// it are db559117828d, 61df10c779cc, 68134668c182 and d7f5ef653c3d (btf_record).
//
// It knows no other workload, and of probes only workloads.Tracer. One goroutine, locked
// to its thread.
package special
