// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"errors"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/task"
)

// histogramsFile is where the histograms of a recording's intervals go, a row for each
// phase and interval: into the run directory, or away by an uplink, in parts. One
// goroutine at a time.
type histogramsFile struct {
	dir    *results.Writer // or
	uplink task.Uplink
	part   io.WriteCloser            // under way
	rows   *results.HistogramsWriter // of the parts; nil: there was none
	began  time.Time                 // the interval under way; zero: it is the first
}

// Histogram writes a row.
func (f *histogramsFile) Histogram(tag string, h *hdrhistogram.Histogram, start, end time.Time) error {
	if f.uplink == nil {
		return f.dir.Histogram(tag, h, start, end)
	}
	if f.part == nil {
		part, err := f.uplink.Part(results.HistogramsFile)
		if err != nil {
			return err
		}
		if f.part = part; f.rows == nil {
			f.rows = results.NewHistogramsWriter(part)
		} else {
			f.rows.Reset(part)
		}
	}
	return f.rows.Histogram(tag, h, start, end)
}

// end ends the part that is under way, if any, and makes a run directory list what
// has left.
func (f *histogramsFile) end(w *results.Writer) error {
	if f == nil || f.uplink == nil || f.rows == nil {
		return nil
	}
	if f.part != nil {
		err := errors.Join(f.rows.Flush(), f.part.Close())
		if f.part = nil; err != nil {
			return err
		}
	}
	w.List(results.HistogramsFile, f.rows.File())
	return nil
}

// rotate ends an interval: its histograms are written, and begin anew.
func (m *Measurement) rotate() error {
	began := m.log.began
	if began.IsZero() {
		began = m.Measured
	}
	m.log.began = m.Drained
	return m.sums.rotate(func(phase string, d *analyze.Distribution) error {
		return m.log.Histogram(results.Tag(m.Job.Scenario, m.Job.Trial, phase), d.Histogram, began, m.Drained)
	})
}
