// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

const (
	// LookupsPerBatch is how many lookups are timed together.
	LookupsPerBatch = 1024
	// CallsPerBatch is how many calls of bpf(2) are: few, so that a batch in
	// which something else ran does not move the median.
	CallsPerBatch = 16
	// MinOperations gives each figure enough batches for its quantiles: 20, as
	// the last of them is a whole one too.
	MinOperations = 20_000
)
