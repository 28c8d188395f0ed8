// SPDX-License-Identifier: Apache-2.0

// Package target is where tasks are done: on the kernel that runs here, or on
// kernel images booted under QEMU.
//
// In: a task's name and request, a machine, kernels. Out: the task's reply, its
// files, how the machine ended, or an error that says at which step it failed.
// Target is the interface of both; Local and VM implement it. What does a task is
// injected (package task): this one never imports probes or workloads.
//
// Everything read from a guest is a stranger's. Below it: kernels finds images,
// wire is what host and guest say to each other, guest is the side that runs in
// the machine.
package target
