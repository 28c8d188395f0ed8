// SPDX-License-Identifier: Apache-2.0

// Package qmp speaks QEMU's machine protocol: some commands, and two events.
//
// In: QEMU's end of a socket. Out: its answers, that the machine stopped, and why it went
// off. What is printable of them has been made so.
package qmp
