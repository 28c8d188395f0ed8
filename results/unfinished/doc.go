// SPDX-License-Identifier: Apache-2.0

// Package unfinished makes the directories that runs are written to before they have
// their names. A process that is killed leaves its directory behind, but without the lock
// that shows its life; the next one that makes one beside it removes it.
package unfinished
