// SPDX-License-Identifier: Apache-2.0

// Package wire is what host and guest say to each other: frames with a sequence
// number and a checksum over a serial port, and a window of shared memory for
// the bytes of files.
//
// In: bytes of a guest, which are not to be trusted. Out: frames, events, files
// of names and sizes that were allowed, or a ChannelError that says what was
// wrong first. Nothing of a guest is used before its length and its checksum
// were checked, and its text is made fit for a terminal.
//
// It opens no device and starts nothing. A Receiver is used by one goroutine.
package wire
