// SPDX-License-Identifier: Apache-2.0

// Package hold is a reader, of RCU or of RCU tasks trace, that stays in its
// read-side section for a known time: what a grace period then waits for is not
// an estimate.
//
// In: the kind of the reader, how long each hold is, and where an operation
// begins and ends. Out: how long the reader stayed after the operation had
// begun to wait, as the reader's own BPF program saw it.
//
// It knows no workload. Enter and Leave are called in turn by the thread that
// operates; the reader, and who lets it go, have threads of their own, from
// Start until what that returns is called.
package hold
