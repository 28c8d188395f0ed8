// SPDX-License-Identifier: Apache-2.0

package results

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// logLine is a line of a log that Writer did not write.
func logLine(t *testing.T, tag string, h *hdrhistogram.Histogram) string {
	t.Helper()
	var b bytes.Buffer
	h.SetTag(tag)
	if err := hdrhistogram.NewHistogramLogWriter(&b).OutputIntervalHistogram(h); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDecodeHistogramsRefuses(t *testing.T) {
	good := logLine(t, "a/t0/limbo", NewHistogram())
	for name, c := range map[string]struct{ log, want string }{
		"the widest range": {logLine(t, "a/t0/limbo", hdrhistogram.New(1, math.MaxInt64, 5)),
			"line 1: histogram a/t0/limbo: its range is 1 to 9223372036854775807 at 5 digits, which mapprof doesn't write"},
		"other digits": {good + logLine(t, "a/t0/free", hdrhistogram.New(HistogramMinNS, HistogramMaxNS, 4)),
			"line 2: histogram a/t0/free: its range is 1 to 3600000000000 at 4 digits"},
		"no tag":           {logLine(t, "", NewHistogram()), "line 1: no tagged histogram"},
		"another tag":      {logLine(t, "limbo", NewHistogram()), `"limbo" is not scenario/tN/phase`},
		"cut in the tag":   {good + good[:8], "line 2: no tagged histogram"},
		"cut in the value": {good[:len(good)-20], "line 1: histogram a/t0/limbo: "},
		"no number":        {strings.Replace(good, ",0.000000,", ",x,", 1), `parsing "x"`},
		"an endless time":  {"Tag=a/t0/limbo,1e300,1,1,%%%\n", "it begins at 1e+300 s"},
		"a time back":      {"Tag=a/t0/limbo,1,-1,1,%%%\n", "is of -1 s"},
		"not base64":       {"Tag=a/t0/limbo,1,1,1,%%%\n", "read its header"},
		"nothing":          {"Tag=a/t0/limbo,1,1,1,\n", "read its header"},
		"not compressed":   {"Tag=a/t0/limbo,1,1,1,HISTFAAAAAAAAAAAAAAA\n", "read its header"},
		"controls":         {"# \x1b]0;title\a\n" + good, "line 1 is not ASCII text"},
		"an endless line":  {"#" + strings.Repeat(" ", maxHistogramLine), "token too long"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := DecodeHistograms(strings.NewReader(c.log), func(*hdrhistogram.Histogram) error { return nil })
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
				t.Errorf("it took %d bytes", n)
			}
		})
	}
}

func TestWriterRefusesRangesThatNobodyReads(t *testing.T) {
	w, err := Create(filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	err = w.Histogram("a/t0/limbo", hdrhistogram.New(1, 1000, 3), time.Now(), time.Now())
	if err == nil || !strings.Contains(err.Error(), "1 to 1000 at 3 digits") {
		t.Error(err)
	}
}

// The fullest histogram is written and read: the limit on a line has room.
func TestFullestHistogram(t *testing.T) {
	h := NewHistogram()
	seed := uint64(1)
	for v := int64(1); v <= HistogramMaxNS; v += max(1, v/2048) {
		seed = seed*6364136223846793005 + 1442695040888963407
		if err := h.RecordValues(v, int64(seed>>15)&(1<<48-1)); err != nil {
			t.Fatal(err)
		}
	}
	line := logLine(t, "a/t0/limbo", h)
	read := 0
	err := DecodeHistograms(strings.NewReader(line), func(got *hdrhistogram.Histogram) error {
		read++
		if !got.Equals(h) || got.Tag() != "a/t0/limbo" {
			return fmt.Errorf("%s: %d values of %d", got.Tag(), got.TotalCount(), h.TotalCount())
		}
		return nil
	})
	if err != nil || read != 1 || len(line) > maxHistogramLine/2 {
		t.Errorf("%v, %d read, a line of %d bytes", err, read, len(line))
	}
}

func TestTagsAreUnique(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	w, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Histogram("a/t0/limbo", NewHistogram(), time.Now(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(sampleRun()); err != nil {
		t.Fatal(err)
	}
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = d.EachHistogram(func(*hdrhistogram.Histogram) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "tag a/t0/limbo occurs twice") {
		t.Error(err)
	}
}

// TestHistogramsOfScenarios: the others' are not decoded, but lines are still lines.
func TestHistogramsOfScenarios(t *testing.T) {
	h := NewHistogram()
	if err := h.RecordValue(5); err != nil {
		t.Fatal(err)
	}
	whole := logLine(t, "a/t0/limbo", h)
	other := strings.Replace(whole, "Tag=a/", "Tag=b/", 1)
	undecodable := other[:strings.LastIndexByte(other, ',')+1] + "x\n"
	onlyA := func(scenario string) bool { return scenario == "a" }
	for text, want := range map[string]string{
		whole + undecodable: "",
		undecodable + whole: "",
		whole + "Tag=b\n":   "no tagged histogram",
		whole + strings.Replace(whole, "Tag=a/", "Tag=b", 1): "is not scenario/tN/phase",
		strings.Replace(undecodable, "Tag=b/", "Tag=a/", 1):  "histogram a/t0/limbo",
	} {
		var tags []string
		err := decodeHistograms(strings.NewReader(text), onlyA, func(h *hdrhistogram.Histogram) error { tags = append(tags, h.Tag()); return nil })
		switch {
		case want == "" && (err != nil || len(tags) != 1 || tags[0] != "a/t0/limbo"):
			t.Errorf("%q: %v, %v", text, tags, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
