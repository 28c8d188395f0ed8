// SPDX-License-Identifier: Apache-2.0

package results

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/internal/regularfile"
	"github.com/mapprof/mapprof/results/profilecount"
)

// File binds another file of the directory to its run.json.
type File struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // lower-case hexadecimal
	// Count is how many deaths or histograms the file has.
	Count uint64 `json:"count,omitempty"`
}

// boundFiles are those that run.json binds to itself.
func boundFiles() []string { return []string{HistogramsFile, ProfileFile, DeathsFile} }

// summedWriter passes bytes on, and knows what run.json will say of them.
type summedWriter struct {
	w    io.Writer
	sum  hash.Hash
	info File
}

func (s *summedWriter) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.sum.Write(p[:n])
	s.info.Bytes += int64(n)
	return n, err
}

func (s *summedWriter) file() File {
	f := s.info
	f.SHA256 = hex.EncodeToString(s.sum.Sum(nil))
	return f
}

// fileOf is what run.json says of a file with that content.
func fileOf(content []byte) File {
	sum := sha256.Sum256(content)
	return File{Bytes: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
}

// check says what is wrong with a file of the directory:
// whether it is there, and is the one that run.json was written with. A run of
// schema version 1 has no digests; its deaths and histograms are counted.
func (d *Dir) check(name string) error {
	var err error
	if d.Run.SchemaVersion >= 2 {
		if err = d.checkSum(name); err != nil && name == ProfileFile && d.checkNext() {
			return nil
		}
	} else {
		err = d.checkCounts(name)
	}
	var corrupt *CorruptError
	var path *fs.PathError // it can't be opened, or is no regular file
	switch {
	case err == nil || errors.As(err, &corrupt):
		return err
	case errors.As(err, &path):
		return fmt.Errorf("read %s: %w", name, err)
	}
	return &CorruptError{File: filepath.Join(d.Path, name), Err: err, Hint: "it is damaged, or not of this run"}
}

func (d *Dir) checkSum(name string) error {
	want, listed := d.Run.Files[name]
	f, err := regularfile.Open(d.file(name))
	switch {
	case errors.Is(err, os.ErrNotExist) && !listed:
		return nil
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("it is missing, and run.json was written with one of %d bytes", want.Bytes)
	case err != nil:
		return err
	}
	defer f.Close()
	if !listed {
		return errors.New("run.json was written without one")
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.Size() != want.Bytes && !(d.grows(name) && st.Size() > want.Bytes) {
		return fmt.Errorf("it has %d bytes, and run.json was written with one of %d", st.Size(), want.Bytes)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(f, want.Bytes)); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != want.SHA256 {
		return errors.New("its SHA-256 isn't that of the file that run.json was written with")
	}
	return nil
}

type scenarioTrial struct {
	scenario string
	trial    int
}

// checkCounts holds the files of a run of schema version 1 against the numbers
// in run.json. Deaths may be missing: they are with --no-deaths.
func (d *Dir) checkCounts(name string) error {
	switch name {
	case DeathsFile:
		return d.countDeaths()
	case HistogramsFile:
		return d.countHistograms()
	}
	return d.countProfile()
}

// countProfile holds a profile's deaths against the run's. One of lookups has none.
func (d *Dir) countProfile() error {
	f, err := regularfile.Open(d.ProfilePath())
	want := d.Run.Deaths()
	switch {
	case errors.Is(err, os.ErrNotExist) && want > 0:
		return fmt.Errorf("it is missing, and run.json counts %d deaths", want)
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	defer f.Close()
	got, ok, err := profilecount.Deaths(f)
	if err != nil {
		return err
	}
	if ok && uint64(got) != want {
		return fmt.Errorf("it has %d deaths, and run.json counts %d", got, want)
	}
	return nil
}

func (d *Dir) countDeaths() error {
	want, got := map[scenarioTrial]uint64{}, map[scenarioTrial]uint64{}
	for i := range d.Run.Scenarios {
		s := &d.Run.Scenarios[i]
		for j := range s.Trials {
			want[scenarioTrial{s.ID, s.Trials[j].Index}] = s.Trials[j].Phases[PhaseLimbo].N
		}
	}
	err := d.readDeaths(func(death *Death) error {
		k := scenarioTrial{death.Scenario, death.Trial}
		if _, ok := want[k]; !ok {
			return fmt.Errorf("it has deaths of %q, trial %d, which run.json doesn't have", k.scenario, k.trial)
		}
		got[k]++
		return nil
	})
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for k, n := range want {
		if got[k] != n {
			return fmt.Errorf("it has %d deaths of %q, trial %d, and run.json counts %d", got[k], k.scenario, k.trial, n)
		}
	}
	return nil
}

func (d *Dir) countHistograms() error {
	want := map[string]uint64{}
	metrics := map[string]bool{} // of which the log has some
	for i := range d.Run.Scenarios {
		s := &d.Run.Scenarios[i]
		for j := range s.Trials {
			t := &s.Trials[j]
			for phase, stats := range t.Phases {
				if stats.N > 0 {
					want[Tag(s.ID, t.Index, phase)] = stats.N
				}
			}
			for name := range t.Metrics {
				metrics[Tag(s.ID, t.Index, name)], metrics[Tag(s.ID, t.Index, name+PicosecondsSuffix)] = true, true
			}
		}
	}
	err := d.readHistograms(nil, func(h *hdrhistogram.Histogram) error {
		n, known := want[h.Tag()]
		if !known && !metrics[h.Tag()] && h.TotalCount() > 0 {
			return fmt.Errorf("it has %s, which run.json doesn't have", h.Tag())
		}
		if known && uint64(h.TotalCount()) != n {
			return fmt.Errorf("it has %d values of %s, and run.json counts %d", h.TotalCount(), h.Tag(), n)
		}
		delete(want, h.Tag())
		return nil
	})
	if err != nil {
		return err
	}
	for tag := range want {
		return fmt.Errorf("it lacks %s, and run.json counts %d values of it", tag, want[tag])
	}
	return nil
}

// Deaths is how many deaths the run's trials tell of.
func (r *Run) Deaths() (n uint64) {
	for i := range r.Scenarios {
		for j := range r.Scenarios[i].Trials {
			n += r.Scenarios[i].Trials[j].Phases[PhaseLimbo].N
		}
	}
	return n
}

// DeathsNotKept is how many of these have no line in deaths.jsonl.zst, since there
// were more than a recording was to keep.
func (r *Run) DeathsNotKept() (n uint64) {
	for i := range r.Scenarios {
		for j := range r.Scenarios[i].Trials {
			n += r.Scenarios[i].Trials[j].DeathsNotKept
		}
	}
	return n
}
