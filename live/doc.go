// SPDX-License-Identifier: Apache-2.0

// Package live is what mapprof top knows at a moment: how many maps die a second, how
// much memory is in limbo, how long it stays there, and whose it was.
//
// In: deaths as they end, and now and then those that are under way. Out: a Snapshot an
// interval. It keeps no death: counts since the beginning, times of a window that moves
// on, and a bounded number of owners. It knows no kernel and no terminal.
package live
