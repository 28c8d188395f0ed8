// SPDX-License-Identifier: Apache-2.0

// Package holders is the workload whose maps have another holder: an iterator, a
// mapping, a program, a pin, an outer map, another process, a socket. The workload lets
// go of a map, and its holder follows after a known time.
//
// In: the holders, and how long each holds on. Out: the deaths of these maps; by holder
// the time from the workload's own close to the last put, who did the last put, the wait
// of a program that is freed, the limbo after that; and who was seen to hold the map
// meanwhile. The kernel commits behind it are f76fa6b33805 (an iterator holds its map)
// and 1e0bd5a091e5 (64-bit reference counts).
//
// It knows no other workload, no probe and no inventory: it is told of these. One
// goroutine, locked to its thread.
package holders
