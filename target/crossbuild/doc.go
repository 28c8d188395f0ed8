// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package crossbuild finds mapprof for guests of another architecture than this
// program's: a file that the user names, one beside this program, or one that the go
// tool builds from where this program comes from.
//
// In: an architecture. Out: the path of a program, or an error that says which command
// makes one.
package crossbuild
