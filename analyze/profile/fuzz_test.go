// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"bytes"
	"compress/gzip"
	"maps"
	"runtime"
	"testing"

	pprof "github.com/google/pprof/profile"
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
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		p, err := Read(&gz)
		runtime.ReadMemStats(&after)
		// Two bytes are a sample, and what is not yet collected counts too.
		if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(4<<20+1000*len(raw)); got > limit {
			t.Errorf("%d bytes take %d in memory", len(raw), got)
		}
		if err == nil {
			if err := p.CheckValid(); err != nil {
				t.Errorf("accepted an invalid profile: %v", err)
			}
			b, c, _ := GroupSides([]*pprof.Profile{p}, []*pprof.Profile{Harmless(p)})
			if want := totals(p, nil); !maps.Equal(totals(b[0], nil), want) || len(b[0].Sample) != len(c[0].Sample) {
				t.Errorf("grouped it adds up to %v, not to %v", totals(b[0], nil), want)
			}
		}
		_, _ = Read(bytes.NewReader(raw))
	})
}
