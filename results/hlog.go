// SPDX-License-Identifier: Apache-2.0

package results

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The geometry of a phase's histogram: 1 ns to an hour at three significant
// digits. Longer phases are recorded as the highest value and reported by
// their exact maximum.
const (
	HistogramMinNS  = 1
	HistogramMaxNS  = int64(time.Hour)
	HistogramDigits = 3
)

// NewHistogram returns an empty histogram of that geometry.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(HistogramMinNS, HistogramMaxNS, HistogramDigits)
}

// Tag names one histogram in histograms.hlog: scenario, trial and phase.
func Tag(scenario string, trial int, phase string) string {
	return fmt.Sprintf("%s/t%d/%s", scenario, trial, phase)
}

// ParseTag takes a Tag apart.
func ParseTag(tag string) (scenario string, trial int, phase string, err error) {
	j := strings.LastIndexByte(tag, '/')
	if j > 0 {
		i := strings.LastIndexByte(tag[:j], '/')
		if i > 0 {
			if _, err := fmt.Sscanf(tag[i:j]+"\n", "/t%d\n", &trial); err == nil && trial >= 0 {
				return tag[:i], trial, tag[j+1:], nil
			}
		}
	}
	return "", 0, "", fmt.Errorf("histogram tag %q is not scenario/tN/phase", tag)
}

type hlogWriter struct {
	f  *os.File
	bw *bufio.Writer
	lw *hdrhistogram.HistogramLogWriter
}

// Histogram appends one tagged histogram to histograms.hlog.
func (w *Writer) Histogram(tag string, h *hdrhistogram.Histogram, start, end time.Time) error {
	if strings.ContainsAny(tag, ", \r\n") || tag == "" {
		return fmt.Errorf("write histogram: tag %q is empty or has a comma, space or line break", tag)
	}
	if err := w.openHlog(start); err != nil {
		return err
	}
	h.SetTag(tag)
	h.SetStartTimeMs(start.UnixMilli())
	h.SetEndTimeMs(end.UnixMilli())
	if err := w.hlog.lw.OutputIntervalHistogram(h); err != nil {
		return fmt.Errorf("write histogram %s: %w", tag, err)
	}
	return nil
}

func (w *Writer) openHlog(start time.Time) error {
	if w.hlog != nil {
		return nil
	}
	f, err := os.Create(filepath.Join(w.tmp, HistogramsFile))
	if err != nil {
		return fmt.Errorf("write histograms: %w", err)
	}
	bw := bufio.NewWriter(f)
	lw := hdrhistogram.NewHistogramLogWriter(bw)
	w.hlog = &hlogWriter{f: f, bw: bw, lw: lw}
	return errors.Join(lw.OutputComment("[mapprof: nanoseconds; tag = scenario/trial/phase]"),
		lw.OutputLogFormatVersion(), lw.OutputStartTime(start.UnixMilli()), lw.OutputLegend())
}

func (l *hlogWriter) close() error {
	return errors.Join(l.bw.Flush(), l.f.Sync(), l.f.Close())
}

// Histograms reads every histogram of the run, by tag. A run in which nothing
// was recorded has none.
func (d *Dir) Histograms() (map[string]*hdrhistogram.Histogram, error) {
	out := map[string]*hdrhistogram.Histogram{}
	err := d.EachHistogram(func(h *hdrhistogram.Histogram) error {
		if out[h.Tag()] != nil {
			return &CorruptError{File: filepath.Join(d.Path, HistogramsFile), Err: fmt.Errorf("tag %s occurs twice", h.Tag())}
		}
		out[h.Tag()] = h
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// EachHistogram calls f for every histogram of the run, in the order of the
// file; each has a tag that ParseTag takes apart. It holds one at a time: a
// run of many trials has gigabytes of them.
func (d *Dir) EachHistogram(f func(h *hdrhistogram.Histogram) error) error {
	name := filepath.Join(d.Path, HistogramsFile)
	file, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read histograms: %w", err)
	}
	defer file.Close()
	var own error // f's, which is no fault of the file
	err = DecodeHistograms(file, func(h *hdrhistogram.Histogram) error {
		own = f(h)
		return own
	})
	if err != nil && own == nil {
		return &CorruptError{File: name, Err: err}
	}
	return err
}

// DecodeHistograms reads the tagged histograms of an HdrHistogram log.
func DecodeHistograms(r io.Reader, f func(h *hdrhistogram.Histogram) error) error {
	lr := hdrhistogram.NewHistogramLogReader(r)
	for {
		h, err := nextHistogram(lr)
		if err != nil {
			return err
		}
		if h == nil {
			return nil
		}
		if _, _, _, err := ParseTag(h.Tag()); err != nil {
			return err
		}
		if err := f(h); err != nil {
			return err
		}
	}
}

// nextHistogram makes an error of a panic: the library indexes by what it
// reads.
func nextHistogram(lr *hdrhistogram.HistogramLogReader) (h *hdrhistogram.Histogram, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decode histogram: %v", p)
		}
	}()
	return lr.NextIntervalHistogram()
}
