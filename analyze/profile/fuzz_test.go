// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"bytes"
	"compress/gzip"
	"testing"
)

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
		if p, err := Read(&gz); err == nil {
			if err := p.CheckValid(); err != nil {
				t.Errorf("accepted an invalid profile: %v", err)
			}
		}
		_, _ = Read(bytes.NewReader(raw))
	})
}
