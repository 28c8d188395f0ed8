// SPDX-License-Identifier: Apache-2.0

// Package synthetic makes runs and deaths up, for the gate's proof of itself
// and for tests: figures around plausible centres that scatter as asked.
//
// Edit changes a run that is on disk.
//
// In: a number of trials, a spread, a factor, a seed. Out: a Run or Deaths that
// are valid in every respect. Equal seeds give equal ones.
package synthetic
