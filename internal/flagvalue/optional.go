// SPDX-License-Identifier: Apache-2.0

package flagvalue

import (
	"fmt"
	"strconv"
)

// Optional is a flag's value: a number up to 2^32-1 that may be left out. Then it
// prints as nothing, and a result does not repeat it.
type Optional struct {
	N     uint32
	Given bool
}

// Set parses s; an empty one is left out.
func (o *Optional) Set(s string) error {
	if s == "" {
		*o = Optional{}
		return nil
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return fmt.Errorf("%q is not a number from 0 to %d", s, uint32(1<<32-1))
	}
	*o = Optional{N: uint32(n), Given: true}
	return nil
}

// String writes the number.
func (o *Optional) String() string {
	if !o.Given {
		return ""
	}
	return strconv.FormatUint(uint64(o.N), 10)
}

// Type names the value in the help text.
func (o *Optional) Type() string { return "uint32" }
