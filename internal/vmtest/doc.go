// SPDX-License-Identifier: Apache-2.0

// Package vmtest runs parts of tests on real kernels: the test binary itself
// boots as the init of a VM, and does tasks there.
//
// A package that tests on kernels calls Main from its TestMain, with the tasks
// that its tests want done, and Call from its tests. The test binary must be
// static (CGO_ENABLED=0). Kernels come from the cache, or from Debian's archive.
//
// It is for tests only, and builds on Linux only.
package vmtest
