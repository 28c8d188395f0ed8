// SPDX-License-Identifier: Apache-2.0

// Package redirect is the workload that redirects XDP frames to a CPU or a device, by a
// map or by a device's index, and lets such maps die while frames pass.
//
// In: where to, frames of a burst, bursts, maps. Out: frames of a bulk and of a flush,
// how long each takes, that every frame arrives, and the deaths of the maps. The kernel
// commit behind it is 1d233886dd90 (5.6), by which redirects to a device's index go
// through the same bulk queues as those by a map.
//
// It knows no other workload, and of probes only workloads.Tracer. Its devices are in a
// network namespace of its own, which ends with it. One goroutine, and one more for the
// frames that pass while maps die, each locked to its thread.
package redirect
