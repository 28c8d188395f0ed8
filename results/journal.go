// SPDX-License-Identifier: Apache-2.0

package results

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/internal/regularfile"
	"github.com/mapprof/mapprof/results/unfinished"
)

// A recording may last for hours, and end by the loss of the machine. Its directory is
// a journal: from its first checkpoint it has its own name and is a run, as of its last
// one. Deaths and histograms are appended to; run.json says how much of them belongs
// to it, and is replaced as a whole. The profile is another one at each checkpoint: it
// has the name of the next until run.json is the one that it belongs to.

// JournalFile marks a directory that is a journal.
const JournalFile = "JOURNAL"

const journalText = `mapprof is recording into this directory, or was cut off while it did.
It is a run as of its last interval: mapprof report and the others read it, as partial.
`

// nextSuffix ends the name of a file that is to replace another.
const nextSuffix = ".next"

// Checkpoint makes the directory a run of what was written so far, with that profile,
// and goes on. What was not asked for yet, run says itself: it is partial.
func (w *Writer) Checkpoint(run *Run, profile []byte) (err error) {
	defer w.name(&err, w.tmp)
	if err := w.syncStreams(); err != nil {
		return fmt.Errorf("write run directory: %w", err)
	}
	if profile != nil {
		if err := w.Profile(profile); err != nil {
			return err
		}
	}
	run.Journal = true
	if err := w.commit(run, maps.Clone(w.files)); err != nil || w.journal {
		return err
	}
	if err := w.rename(); err != nil {
		return err
	}
	w.tmp, w.journal = w.dir, true
	return errors.Join(os.Remove(filepath.Join(w.dir, unfinished.Marker)), writeFile(filepath.Join(w.dir, JournalFile), []byte(journalText)),
		unfinished.SyncDir(w.dir), unfinished.SyncDir(filepath.Dir(w.dir)))
}

// Journal tells whether there was a Checkpoint: whatever happens, a run is left.
func (w *Writer) Journal() bool { return w.journal }

// syncStreams makes what was written to the streams whole, and their files last.
func (w *Writer) syncStreams() error {
	var errs []error
	if w.deaths != nil {
		errs = append(errs, w.lines.Close(), w.deaths.Sync())
		w.files[DeathsFile] = w.lines.File()
		w.lines.Reset(w.deaths)
	}
	if w.log != nil {
		errs = append(errs, w.hlog.Flush(), w.log.Sync())
		w.files[HistogramsFile] = w.hlog.File()
	}
	return errors.Join(errs...)
}

// grows tells whether a file may have more than belongs to the run.
func (d *Dir) grows(name string) bool { return d.Run != nil && d.Run.Journal && name != ProfileFile }

// checkNext tells whether the profile is the one that was to replace another, when its
// writer was cut off.
func (d *Dir) checkNext() bool {
	if _, listed := d.Run.Files[ProfileFile]; !listed {
		return false
	}
	d.names[ProfileFile] = ProfileFile + nextSuffix
	if d.checkSum(ProfileFile) == nil {
		return true
	}
	delete(d.names, ProfileFile)
	return false
}

// open opens what belongs to the run of a file, from that byte on.
func (d *Dir) open(name string, at int64) (io.ReadCloser, error) {
	f, err := regularfile.Open(d.file(name))
	if err != nil {
		return nil, err
	}
	if at == 0 && !d.grows(name) {
		return f, nil
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, at, d.Run.Files[name].Bytes-at), f}, nil
}

// OpenHistograms opens histograms.hlog as far as it belongs to the run.
func (d *Dir) OpenHistograms() (io.ReadCloser, error) {
	if err := d.Damage(HistogramsFile); err != nil {
		return nil, err
	}
	return d.open(HistogramsFile, 0)
}

// Growing is a run directory whose deaths and histograms are appended to, read as it
// grows: each of them once.
type Growing struct {
	*Dir
	deaths, histograms int64 // bytes that were read
}

// Look reads run.json and the profile as they are now.
func (g *Growing) Look(path string) error {
	run, err := ReadRun(path)
	if err != nil {
		return err
	}
	d := &Dir{Path: path, Run: run, damage: map[string]error{}, names: map[string]string{}}
	if err := d.check(ProfileFile); err != nil {
		return err
	}
	g.Dir = d
	return nil
}

// NewDeaths calls f for those that have come since the last call. f must not keep d.
func (g *Growing) NewDeaths(f func(d *Death) error) error {
	from := g.deaths
	if g.deaths = g.Run.Files[DeathsFile].Bytes; g.deaths <= from {
		return nil
	}
	return g.readDeathsFrom(from, f)
}

// NewHistograms calls f for those that have come since the last call: a tag may occur
// again.
func (g *Growing) NewHistograms(f func(h *hdrhistogram.Histogram) error) error {
	from := g.histograms
	if g.histograms = g.Run.Files[HistogramsFile].Bytes; g.histograms <= from {
		return nil
	}
	file, err := g.open(HistogramsFile, from)
	if err != nil {
		return fmt.Errorf("read histograms: %w", err)
	}
	defer file.Close()
	return DecodeHistograms(file, f)
}

// rowSums adds up the rows of histograms.hlog that have one tag: those of a trial's
// intervals, which follow one another.
type rowSums struct {
	intervals bool // there may be several of a tag
	f         func(h *hdrhistogram.Histogram) error
	seen      map[string]bool
	of        scenarioTrial
	rows      []*hdrhistogram.Histogram // of that trial, a tag each
}

// maxRows bounds the histograms that are in memory at a time.
const maxRows = 64

func (s *rowSums) add(h *hdrhistogram.Histogram) error {
	tag := h.Tag()
	if s.seen[tag] && !s.intervals {
		return fmt.Errorf("tag %s occurs twice", tag)
	}
	for _, sum := range s.rows {
		if sum.Tag() != tag {
			continue
		}
		sum.SetStartTimeMs(min(sum.StartTimeMs(), h.StartTimeMs()))
		sum.SetEndTimeMs(max(sum.EndTimeMs(), h.EndTimeMs()))
		if dropped := sum.Merge(h); dropped != 0 {
			return fmt.Errorf("%s: %d values don't fit the range of its other intervals", tag, dropped)
		}
		return nil
	}
	switch {
	case s.seen[tag]:
		return fmt.Errorf("tag %s occurs twice, and not with its trial's others", tag)
	case len(s.seen) == maxHistograms:
		return fmt.Errorf("more than %d histograms", maxHistograms)
	}
	s.seen[tag] = true
	if !s.intervals {
		return s.f(h)
	}
	scenario, trial, _, err := ParseTag(tag)
	if err != nil {
		return err
	}
	if of := (scenarioTrial{scenario, trial}); of != s.of || len(s.rows) == maxRows {
		if err := s.flush(); err != nil {
			return err
		}
		s.of = of
	}
	s.rows = append(s.rows, h)
	return nil
}

// flush hands on what there is.
func (s *rowSums) flush() error {
	for _, h := range s.rows {
		if err := s.f(h); err != nil {
			return err
		}
	}
	s.rows = s.rows[:0]
	return nil
}
