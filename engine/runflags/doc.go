// SPDX-License-Identifier: Apache-2.0

// Package runflags has the flags of what leaves a run directory: run and record share
// the first ones, and Record has those of a recording.
//
// In: a command line. Out: an engine.Plan without its target, or what is wrong with
// the flags before anything is fetched or boots. It prints nothing.
package runflags
