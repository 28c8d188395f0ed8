// SPDX-License-Identifier: Apache-2.0

// Package shownpath names files in errors as who reads these knows them.
//
// In: an error, and a path that it may name: a temporary one, or one that is
// nobody's business. Out: the same error with another path in its text. It
// imports nothing of ours.
package shownpath
