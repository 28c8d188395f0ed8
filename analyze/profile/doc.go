// SPDX-License-Identifier: Apache-2.0

// Package profile makes profile.pb.gz: pprof's form of who dropped the last
// references, with the phases as leaf frames.
//
// In: deaths or timed lookups, symbolised stacks, and what the labels say. Out:
// a profile of google/pprof's package of the same name (imported as pprof
// here), its file, sums and differences of profiles. The file has the kernel's own
// stacks; Group and GroupSides fold them for the eye, when they are shown. Totals are exact integers,
// so the order of deaths changes nothing. A profile that is read is a
// stranger's: its size is bounded, and what Open returns can be given to pprof.
//
// A Builder is not safe for concurrent use. The package knows no kernel and
// draws nothing.
package profile
