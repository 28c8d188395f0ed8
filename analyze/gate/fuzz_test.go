// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"strings"
	"testing"
)

func FuzzReadPolicy(f *testing.F) {
	f.Add("version: 1\nrules:\n  - metric: limbo.p50\n    max-increase: 5%\n")
	f.Add("alpha: 0.001\nmax-loss: 0%\nclocks:\n  wall:\n    block: false\n")
	f.Add("rules: [{metric: '*', max-increase: 1ms, clock: icount}]")
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ReadPolicy(strings.NewReader(text))
		if err != nil {
			return
		}
		if err := p.Check(); err != nil {
			t.Errorf("accepted what it rejects: %v", err)
		}
	})
}
