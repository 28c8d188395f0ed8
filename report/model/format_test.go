// SPDX-License-Identifier: Apache-2.0

package model

import (
	"testing"
)

func TestFormat(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{FormatDuration(0), "0 ns"},
		{FormatDuration(1), "1 ns"},
		{FormatDuration(31.25), "31.2 ns"},
		{FormatDuration(999), "999 ns"},
		{FormatDuration(999.6), "1.00 µs"},
		{FormatDuration(1000), "1.00 µs"},
		{FormatDuration(14_640_000), "14.6 ms"},
		{FormatDuration(99_949), "99.9 µs"},
		{FormatDuration(99_950), "100 µs"},
		{FormatDuration(999_499), "999 µs"},
		{FormatDuration(999_500), "1.00 ms"},
		{FormatDuration(160_000_000), "160 ms"},
		{FormatDuration(1_234_000_000), "1.23 s"},
		{FormatDuration(4_321_000_000_000), "4321 s"},
		{FormatBytes(0), "0 B"},
		{FormatBytes(1023), "1023 B"},
		{FormatBytes(1024), "1.00 KiB"},
		{FormatBytes(5 << 30), "5.00 GiB"},
		{FormatByteSeconds(0.0421), "0.0421 B·s"},
		{FormatByteSeconds(3532.4), "3.45 KiB·s"},
		{FormatShare(0), "0.0%"},
		{FormatShare(0.0001), "<0.1%"},
		{FormatShare(0.9871), "98.7%"},
		{FormatShare(0.99951), "100%"},
		{FormatRatio(10.96), "11×"},
		{FormatRatio(3.44), "3.4×"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
