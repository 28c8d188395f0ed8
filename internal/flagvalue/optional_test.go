// SPDX-License-Identifier: Apache-2.0

package flagvalue

import "testing"

// TestOptional: it prints what it parses, and nothing where it is left out.
func TestOptional(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Optional
		bad  bool
	}{
		{"", Optional{}, false},
		{"0", Optional{0, true}, false},
		{"330", Optional{330, true}, false},
		{"4294967295", Optional{1<<32 - 1, true}, false},
		{"4294967296", Optional{}, true},
		{"-1", Optional{}, true},
		{"some", Optional{}, true},
	} {
		var got Optional
		if err := got.Set(tt.text); (err != nil) != tt.bad || got != tt.want {
			t.Errorf("%q: %+v, %v", tt.text, got, err)
		}
		if !tt.bad && got.String() != tt.text {
			t.Errorf("%q prints as %q", tt.text, got.String())
		}
	}
}
