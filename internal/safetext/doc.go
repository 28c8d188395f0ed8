// SPDX-License-Identifier: Apache-2.0

// Package safetext makes strangers' names and messages fit to be shown: those
// of a kernel, a guest or a file hold whatever somebody put there.
//
// In: any bytes. Out: one line of valid UTF-8 without control sequences and
// invisible characters, of bounded length; from Lines, as many
// as came in. HTML is not escaped.
package safetext
