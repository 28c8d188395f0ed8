// SPDX-License-Identifier: Apache-2.0

// Package progress shows where a run is while it lasts: one line that is drawn again
// and again on a terminal, lines one after the other elsewhere.
//
// In: the begin, the stages and the end of each trial, from any goroutine, and what
// else is to be printed meanwhile. Out: text on one writer, never wider than the
// terminal is at that moment. It knows no engine and no report.
package progress
