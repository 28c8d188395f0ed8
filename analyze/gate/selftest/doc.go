// SPDX-License-Identifier: Apache-2.0

// Package selftest proves a gate by pairs whose verdict is known: unchanged and
// slower ones that are made up or drawn from real trials, and runs from which
// something was taken.
//
// In: a Policy, a run or a pool of trials, a seed. Out: a Rate for each kind of
// pair, and CutsOf's copies of a run that lack one thing each. Equal seeds give
// equal pairs. It boots nothing: the runs of real kernels come from package
// engine/selftest.
package selftest
