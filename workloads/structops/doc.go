// SPDX-License-Identifier: Apache-2.0

// Package structops is the workload that registers struct_ops maps, unregisters them and
// lets them die: TCP congestion control in BPF.
//
// In: how many. Out: the deaths of these maps; how long the kernel takes to register one
// and to unregister it, and what of the latter waits for a grace period; the states that
// a map goes through. The kernel commit behind it is 85d33df357b6 (5.6).
//
// It knows no other workload, and of probes only workloads.Tracer. One goroutine, locked
// to its thread.
package structops
