// SPDX-License-Identifier: Apache-2.0

// Package trial does one trial on the kernel that it runs on: the same code in
// this process for a local target, and in a guest for a VM.
//
// In: a Job, which names a workload, its parameters and a strategy. Out: a run
// directory of one scenario with one trial, or a Measurement without one. Deaths
// are summed up while they come, and leave by the task's uplink where there is one;
// memory does not grow with their number. The order is set up, attach, measure,
// drain, write. Its second task, Diagnose, tells what probes can see on the kernel.
//
// It joins workloads, probes and collect, and is the only package that every
// run needs of these. It doesn't know where it runs, nor of other trials.
package trial
