// SPDX-License-Identifier: Apache-2.0

// Package program finds the files that a program needs in a guest: the program
// itself, its interpreter, its shared libraries, and what the user adds.
//
// In: a command as it is typed on this machine. Out: the files by the path that they
// have in the guest, which is the one that they have here. It runs nothing: libraries
// are found from the ELF headers, as ld.so(8) finds them.
package program
