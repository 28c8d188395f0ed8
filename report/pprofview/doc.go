// SPDX-License-Identifier: Apache-2.0

// Package pprofview is pprof within this program: its command line, and its
// pages for a server that has others beside them.
//
// In: paths of runs and profiles, or profiles that were made harmless (package
// analyze/profile). Out: pprof's reports and pages. There are neither sources
// nor object files, nothing is fetched or saved, and whoever listens on
// loopback answers only to loopback's names.
//
// pprof keeps its settings for the whole process: one command in each.
package pprofview
