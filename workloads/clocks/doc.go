// SPDX-License-Identifier: Apache-2.0

// Package clocks is the workload that measures what it costs a BPF program to read a clock:
// bpf_ktime_get_ns(), which the probes read, beside bpf_jiffies64().
//
// In: how many reads. Out: what one takes by each helper, and how long a jiffy is. The
// kernel commit behind it is 5576b991e9c1 (5.6). Nothing is freed that would be of
// interest.
//
// It knows no other workload. One goroutine, locked to its thread.
package clocks
