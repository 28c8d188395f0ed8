// SPDX-License-Identifier: Apache-2.0

// Package machine is the table of the architectures that mapprof boots kernels of:
// what their machine, console, channel and kernel images are called.
//
// In: the name of an architecture. Out: its row. It decides nothing and does nothing;
// a new architecture is a row here, a reader of its kernel images in target/kernels,
// and its registers in probes/arch.bpf.h.
package machine
