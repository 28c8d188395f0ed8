// SPDX-License-Identifier: Apache-2.0

// Package compare says what changed between runs, or between the scenarios of
// one: for every figure the centre of each side, the difference, and how sure
// it is.
//
// In: run.json of one or more runs. Out: a Comparison, or an IncomparableError
// that says why it would mean nothing. Two sides are matched by everything but
// what is compared. A wall clock's trials are ranked (Mann-Whitney), those of
// a deterministic clock are held against their own spread, and Holm's
// procedure corrects for the number of tests. A value that can't be a figure is
// an error.
//
// It reads nothing but run.json, decides about no exit code, and knows no
// kernel and no terminal.
package compare
