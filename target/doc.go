// SPDX-License-Identifier: Apache-2.0

// Package target is where a run happens: on the local kernel, or on a kernel
// image booted under QEMU.
//
// What comes in: the name of a kernel (a Debian series such as "6.12", a
// bzImage, a .deb), limits for the machine, and a command to run there. What
// goes out: the run directory that the command left, or an error that says
// at which step it failed. Kernel images come from Debian's archive by way
// of apt, its signatures checked and the host's apt configuration untouched,
// and stay in the user's cache so that later runs need no network.
//
// Everything read from an archive, a package, an image or a guest is a
// stranger's: lengths are checked before use and names before they become
// paths. The package may not know what is measured: it never imports probes
// or workloads.
package target
