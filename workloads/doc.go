// Package workloads is what drives the kernel: synthetic map operations, one
// file each, registered by name.
//
// In: parameters (flags) and a strategy. Out: operations on real maps, and a
// Result that says how many last puts they must have caused, so that what the
// probes saw can be held against arithmetic.
//
// It imports cilium/ebpf and nothing of ours: it knows no probe, no result
// format and no VM. An Instance is driven by one goroutine.
package workloads
