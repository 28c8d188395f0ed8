// SPDX-License-Identifier: Apache-2.0

package term

import "testing"

func TestPlain(t *testing.T) {
	p := Plain{Header: []string{"series", "size", "cached"}, Right: []int{1}}
	p.Add("6.1", "9.2 MB", "")
	p.Add("6.12", "14.0 MB", "yes")
	want := `series     size  cached
6.1      9.2 MB
6.12    14.0 MB  yes
`
	if got := p.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
