// SPDX-License-Identifier: Apache-2.0

// Package programs is the workload whose subject is programs and their functions: how
// long the verifier takes for global functions and for static ones; a program whose
// function is traced, then replaced; and what its programs wait for when they are
// unloaded.
//
// In: how many functions. Out: the verifier's calls, the stacks that run through
// programs and trampolines with their names, the deaths of the programs' maps, and how
// long each program waits before it is freed. The kernel commits behind it are
// e9b4e606c228 (trampolines in unwinding), be8704ff07d2 (extensions) and 51c39bb1d5d1
// (verification function by function).
//
// It knows no other workload, and of probes only workloads.Tracer. One goroutine, locked
// to its thread.
package programs
