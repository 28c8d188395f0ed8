// SPDX-License-Identifier: Apache-2.0

// Package command is the workload of a recording: a program that isn't mapprof's, or
// none, while the maps that die are watched.
//
// In: the program with its arguments, and a filter on the deaths. Out: how the
// program ended. It ends it when the recording is over, and passes its output on.
package command
