// SPDX-License-Identifier: Apache-2.0

// Package ci has no code but tests: of the Makefile, the scripts in .ci, the workflows, and
// the links between pages of the documentation. What they promise is that nothing that
// failed looks green, that "make test" does all that a workflow does, and that no link
// leads nowhere.
package ci
