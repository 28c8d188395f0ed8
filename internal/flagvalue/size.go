// SPDX-License-Identifier: Apache-2.0

package flagvalue

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a flag's value: bytes, written as 4096, 512MiB, 10G. Units are
// powers of 1024 with or without the i.
type Size uint64

var sizeUnits = []struct {
	suffix string
	shift  uint
}{{"kib", 10}, {"mib", 20}, {"gib", 30}, {"tib", 40}, {"kb", 10}, {"mb", 20}, {"gb", 30}, {"tb", 40}, {"k", 10}, {"m", 20}, {"g", 30}, {"t", 40}, {"b", 0}, {"", 0}}

// Set parses s.
func (b *Size) Set(s string) error {
	lower := strings.ToLower(strings.TrimSpace(s))
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(lower, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 64)
		if err != nil || n > math.MaxUint64>>u.shift {
			break
		}
		*b = Size(n << u.shift)
		return nil
	}
	return fmt.Errorf("%q is not a size (like 512MiB or 10GiB)", s)
}

// String writes the size with the largest unit that divides it.
func (b *Size) String() string {
	n := uint64(*b)
	for _, u := range []struct {
		name  string
		shift uint
	}{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}} {
		if n != 0 && n%(1<<u.shift) == 0 {
			return fmt.Sprintf("%d%s", n>>u.shift, u.name)
		}
	}
	return strconv.FormatUint(n, 10)
}

// Type names the value in the help text.
func (b *Size) Type() string { return "size" }
