// SPDX-License-Identifier: Apache-2.0

// Package screen shows a live.Source: full screen on a terminal, elsewhere as lines or
// as JSON.
//
// In: a source, and what it is shown on. Out: the text, and the terminal as it was. It
// knows no kernel: what it shows can be made up.
package screen
