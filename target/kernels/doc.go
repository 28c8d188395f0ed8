// SPDX-License-Identifier: Apache-2.0

// Package kernels finds kernel images: by the name of a series or a release in
// the user's cache or in an archive, or as a file, a bzImage, a unified kernel image or a .deb.
//
// In: what was given to --kernel. Out: a Kernel, whose image is on disk, or an
// error of a type that tells whose mistake it is. An archive is a Source that
// its package registers (package debian is the first); what comes from one has
// its signature checked. Images stay in the cache, each with its digest.
//
// Packages and images are strangers': lengths are checked before use, and
// unpacking is bounded. The cache is locked between processes; functions may be
// called from several goroutines.
package kernels
