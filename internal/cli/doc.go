// SPDX-License-Identifier: Apache-2.0

// Package cli has what a command line needs beside its flags: counts of arguments,
// in words with a hint, the signals that end a command, and how errors are told.
//
// In: a cobra command's arguments, signals of this process. Out: the user's
// mistake, or a context and a channel that end, and an exit code. It knows no command.
package cli
