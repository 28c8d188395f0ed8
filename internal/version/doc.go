// SPDX-License-Identifier: Apache-2.0

// Package version says which mapprof this is, however it was built.
//
// In: what the linker was told, what Go recorded of the module and the checkout,
// what git archive wrote into archive.txt, and the release line. Out: a tag, the
// commit, its date, and whether files were modified since. Each of them comes from
// the first of these that knows it. Nothing is asked of git at run time.
package version
