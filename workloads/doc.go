// SPDX-License-Identifier: Apache-2.0

// Package workloads is what a driver of map operations must be able to do, and
// the list of those that there are.
//
// In: a description from each workload's package, in its init. Out: workloads
// by name, which take parameters (flags) and a strategy, operate on real maps,
// and give a Result that says how many last puts they must have caused, so that
// what the probes saw can be held against arithmetic.
//
// It knows no particular workload: who wants all of them imports
// workloads/all. It knows no probe, no result format and no VM; a Tracer is
// given to a workload. An Instance is driven by one goroutine; the list is not
// changed after init.
package workloads
