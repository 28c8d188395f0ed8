// SPDX-License-Identifier: Apache-2.0

// Package all registers every workload, for the side effect of importing it.
//
// A new workload's package gets a line in all.go, and is then known to
// workloads.Find and workloads.All. Nothing else belongs here.
package all
