// SPDX-License-Identifier: Apache-2.0

// Package ci has no code but tests: of the Makefile, the scripts in .ci and the
// workflows. What they promise is that nothing that failed looks green, and that
// "make test" does all that a workflow does.
package ci
