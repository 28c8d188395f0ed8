// SPDX-License-Identifier: Apache-2.0

// Package gate judges a run against a baseline, by a policy: pass, regression
// or inconclusive.
//
// In: two runs (and a second of the candidate, where the policy wants
// regressions confirmed) and a Policy, which is YAML in a file. Out: a Verdict
// with a Check for every figure that the policy names. Missing data never
// passes: a run that can't be read, is partial, lost too much or lacks what it
// counts is inconclusive, with the reason.
//
// It rests on package compare for every figure and knows no kernel, no exit
// code and no format.
package gate
