// SPDX-License-Identifier: Apache-2.0

package jsonsize

import "fmt"

// Max bounds what run.json may take when it is decoded. 10,000
// scenarios of two trials, with all their figures, take half of it.
const Max = 512 << 20

// What the elements of run.json take in memory at most, the growth of the slices
// that they stand in included. Two bytes of JSON are a whole scenario.
const (
	shallowObject = 1200 // scenarios, trials, targets, probes: no deeper than shallowDepth
	deepObject    = 320  // a phase's figures, a metric, a point
	element       = 64   // of a list or a map
	shallowDepth  = 5
)

// Check refuses a run.json that would take too much memory, before any of it
// is decoded. It counts brackets and commas outside of strings.
func Check(data []byte) error {
	var memory, depth int
	quoted := false
	for i := 0; i < len(data); i++ {
		c := data[i]
		if quoted {
			switch c {
			case '\\':
				i++
			case '"':
				quoted = false
			}
			continue
		}
		switch c {
		case '"':
			quoted = true
		case '{', '[':
			depth++
			memory += element
			if c == '{' && depth <= shallowDepth {
				memory += shallowObject
			} else if c == '{' {
				memory += deepObject
			}
		case '}', ']':
			depth--
		case ',':
			memory += element
		}
		if memory > Max {
			return fmt.Errorf("too many elements: it would take more than %d MiB", Max>>20)
		}
	}
	return nil
}
