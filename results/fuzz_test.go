// SPDX-License-Identifier: Apache-2.0

package results

import (
	"bytes"
	"os"
	"path/filepath"
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
