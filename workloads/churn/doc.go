// SPDX-License-Identifier: Apache-2.0

// Package churn is the workload that takes inner maps out of an outer map, and
// so drops their last reference.
//
// In: the types and sizes of both maps, how often, how many at once, and for a
// calibration how long a reader is held meanwhile. Out: the latency of each
// operation, and how many inner maps lost their last reference.
//
// It knows no other workload and no probe. One goroutine operates, locked to
// its thread; readers have goroutines of their own, which end with Run.
package churn
