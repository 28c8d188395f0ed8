// SPDX-License-Identifier: Apache-2.0

// Package inventory has the inventories of a recording, as run.json keeps them: the maps
// that are alive, who holds them, and the memory of these and of those in limbo.
//
// In: what a kernel or a file says. Out: types, and what can't be in them. It knows
// neither how they are taken nor how they are shown.
package inventory
