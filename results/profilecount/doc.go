// SPDX-License-Identifier: Apache-2.0

// Package profilecount counts the deaths of a pprof profile without decoding it: a
// small file can unpack to samples that take gigabytes.
package profilecount
