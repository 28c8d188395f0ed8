// SPDX-License-Identifier: Apache-2.0

package results

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

func FuzzDecodeHistograms(f *testing.F) {
	w, err := Create(filepath.Join(f.TempDir(), "run"))
	if err != nil {
		f.Fatal(err)
	}
	h := NewHistogram()
	for v := int64(1); v < 1e9; v *= 3 {
		if err := h.RecordValue(v); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Histogram(Tag("a", 0, PhaseLimbo), h, time.Unix(1, 0), time.Unix(2, 0)); err != nil {
		f.Fatal(err)
	}
	if err := w.Finish(sampleRun()); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(w.dir, HistogramsFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte("Tag=a/t0/limbo,0.1,1,1,HISTFAAAAA==\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = DecodeHistograms(bytes.NewReader(data), func(h *hdrhistogram.Histogram) error {
			if _, _, _, err := ParseTag(h.Tag()); err != nil {
				t.Error(err)
			}
			if h.TotalCount() < 0 {
				t.Errorf("%d values", h.TotalCount())
			}
			return nil
		})
	})
}

func FuzzProfileDeaths(f *testing.F) {
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
		n, ok, err := profileDeaths(&gz)
		runtime.ReadMemStats(&after)
		if n != 0 && !ok && err == nil {
			t.Errorf("%d of none", n)
		}
		if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(1<<20+100*len(raw)); got > limit {
			t.Errorf("%d bytes take %d in memory", len(raw), got)
		}
	})
}
