// SPDX-License-Identifier: Apache-2.0

// Package bench measures mapprof itself: what its probes cost, what a run costs
// beside its workload, and how exact its times are.
//
// In: a target and sizes. Out: rows of figures, and their tables as text. Known
// holds of a reader are compared with the measured grace periods; ftrace and
// bpftrace are the witnesses that share no code with mapprof.
//
// Its tasks are done in a guest beside those of package trial. It parses no
// flag and prints nothing.
package bench
