// SPDX-License-Identifier: Apache-2.0

// Package rootfs reads a directory of this machine that becomes a guest's root file
// system.
//
// In: a directory, as mmdebstrap or a container's export leaves it. Out: its entries
// with their attributes, what they take of memory, and where a path leads in it. No
// link leads out of the directory.
package rootfs
