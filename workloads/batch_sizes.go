// SPDX-License-Identifier: Apache-2.0

package workloads

const (
	// batchLookups is how many lookups are timed together.
	batchLookups = 1024
	// batchCalls is how many calls of bpf(2) are: few, so that a batch in
	// which something else ran does not move the median.
	batchCalls = 16
	// minLookups gives each figure enough batches for its quantiles.
	minLookups = 20 * batchLookups
)
