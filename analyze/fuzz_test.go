// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"bytes"
	"compress/gzip"
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
		if err := p.check(); err != nil {
			t.Errorf("accepted what it rejects: %v", err)
		}
	})
}

func FuzzReadProfile(f *testing.F) {
	for _, raw := range []string{"", "\x0a\x04\x08\x01\x10\x02", "\x12\x06\x0a\x01\x01\x12\x01\x05"} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var gz bytes.Buffer
		zw := gzip.NewWriter(&gz)
		if _, err := zw.Write(raw); err != nil {
			t.Fatal(err)
		}
		if err := zw.Close(); err != nil {
			t.Fatal(err)
		}
		if p, err := ReadProfile(&gz); err == nil {
			if err := p.CheckValid(); err != nil {
				t.Errorf("accepted an invalid profile: %v", err)
			}
		}
		_, _ = ReadProfile(bytes.NewReader(raw))
	})
}
