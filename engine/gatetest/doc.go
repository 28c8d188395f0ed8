// SPDX-License-Identifier: Apache-2.0

// Package gatetest proves the gate where it runs: unchanged pairs of runs must
// pass, planted slowdowns must fail, runs with a part missing must be
// inconclusive.
//
// In: a SelfTest, with a policy and a function that makes a real run. Out: a
// rate of right verdicts for each kind of pair. Without that function only
// made-up pairs are judged, which needs no kernel and builds anywhere.
//
// It boots nothing itself. Run is called from several goroutines.
package gatetest
