// SPDX-License-Identifier: Apache-2.0

// Package top is mapprof top: the maps of all programs of this machine, as they die.
//
// In: the command's flags. Out: a live.Source, which a screen shows. It attaches to the
// kernel that runs here as a recording does, and leaves nothing attached and no file.
package top
