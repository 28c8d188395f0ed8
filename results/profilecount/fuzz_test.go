// SPDX-License-Identifier: Apache-2.0

package profilecount

import (
	"bytes"
	"compress/gzip"
	"runtime"
	"testing"
)

func FuzzDeaths(f *testing.F) {
	for _, raw := range []string{"", "\x0a\x02\x08\x00\x32\x06deaths\x12\x03\x12\x01\x05", "\x0a\x02\x08\x00\x32\x06deaths\x12\x02\x10\x05"} {
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
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n, ok, err := Deaths(&gz)
		runtime.ReadMemStats(&after)
		if n != 0 && !ok && err == nil {
			t.Errorf("%d of none", n)
		}
		if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(1<<20+100*len(raw)); got > limit {
			t.Errorf("%d bytes take %d in memory", len(raw), got)
		}
	})
}
