// SPDX-License-Identifier: Apache-2.0

// Package web serves runs: a list that keeps itself up to date, a page for each
// run and for several, and pprof's own views of each and of the difference of
// two.
//
// In: directories to look for runs in, and requests. Out: the pages of package
// html, and files to save. Below those directories it only reads, and only regular
// files; it answers only to names that it goes by. Notes on runs go into a file
// elsewhere, and only its own pages on loopback may write one. It knows neither
// commands nor terminals: whoever starts it says where it listens.
//
// A stranger's profile is made harmless before package pprofview gets it.
package web
