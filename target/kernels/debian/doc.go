// SPDX-License-Identifier: Apache-2.0

// Package debian is Debian's archive as a source of kernels, by way of apt.
//
// In: the host's mirrors and keys. Out: an index of the cloud kernels of every
// suite, and their packages, signatures checked by apt and the digest once more.
// The host's apt configuration is read and never written: each suite has a state
// of its own in the cache. Importing the package registers the source.
package debian
