// SPDX-License-Identifier: Apache-2.0

// Package snapshot keeps machines as they were when their guests had come to their
// init and had no job yet: a file of QEMU's each, by all that it follows from.
//
// In: what a machine follows from, in words, and QEMU's stream. Out: the stream again,
// whole or not at all. It knows no QEMU and no target. A store may be used by several
// processes at once; what was not used for longest goes when it takes too much room.
package snapshot
