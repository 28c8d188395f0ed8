// SPDX-License-Identifier: Apache-2.0

// Package history follows figures over many runs of the same scenarios, and
// finds the runs where their level changed: by E-divisive means, with a
// permutation test.
//
// In: runs, in order. Out: a History: for each scenario and figure its course,
// the points at which it changed, and what else changed with the run there. It
// judges nothing: a point is no verdict, and a change of the newest runs can't be
// told yet. See package gate for that.
package history
