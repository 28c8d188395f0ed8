// SPDX-License-Identifier: Apache-2.0

// Package engine does a run: it plans trials, has a target do them in turns,
// and folds their results into one run directory.
//
// In: a Plan, which names a target, a workload, strategies and a number of
// trials, and a results.Writer. Out: a results.Run that is written, be it
// partial, or an error that tells why there is none. Verify holds a run against
// its own arithmetic.
//
// It knows no flag, prints nothing and reaches no kernel itself: a trial is a
// task of package trial, done where the target is. What a target returns is a
// stranger's, and is checked before it is folded in. A Plan is done by one
// goroutine; its Stop may be closed by another.
package engine
