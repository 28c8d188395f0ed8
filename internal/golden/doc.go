// SPDX-License-Identifier: Apache-2.0

// Package golden compares what tests make with files in testdata, and rewrites
// these where go test is given -update.
package golden
