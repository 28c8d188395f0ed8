// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	pprof "github.com/google/pprof/profile"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/internal/shownpath"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

// underway is the trial that runs, of a recording: what came of it up to its last
// interval is in the run directory already.
type underway struct {
	*planned
	dir    string
	part   results.Growing
	phases map[string]*hdrhistogram.Histogram // by tag, of all intervals; nil: of a metric
	placed bool
	shift  time.Duration // to this machine's clock, once it is placed
	kept   bool          // the run directory has something of it
}

// commit makes the run directory what the run is if the trial gets no further.
func (r *runner) commit(u *underway, done *target.Done, began *time.Time) (err error) {
	defer func() { err = shownpath.In(err, u.dir, "run") }()
	if err := u.part.Look(u.dir); err != nil {
		return fmt.Errorf("read what the trial gave: %w", err)
	}
	t, err := r.adopt(u, u.part.Run, done, began, time.Now())
	if err != nil {
		return err
	}
	u.kept = true
	if err := r.takeNew(u); err != nil {
		return err
	}
	run, err := copyOf(r.result)
	if err != nil {
		return err
	}
	u.part.Run.PartialReason = ""
	if err := analyze.Merge(run, u.part.Run); err != nil {
		return err
	}
	summer := r.summer.Clone()
	if err := u.addTo(summer); err != nil {
		return err
	}
	if err := summer.Finish(run); err != nil {
		return err
	}
	run.Ended = t.Started.Add(time.Duration(t.DurationNS))
	run.Partial, run.PartialReason = true, fmt.Sprintf("the recording had not ended: this is what there was %v after the begin of trial %d, at the end of an interval of %v",
		time.Duration(t.DurationNS).Round(time.Second/10), t.Index, r.Options.Interval)
	p, err := profile.OfDir(u.part.Dir)
	if err != nil {
		return fmt.Errorf("read the trial's profile: %w", err)
	}
	if r.profile != nil {
		if p, err = profile.Merge([]*pprof.Profile{r.profile, p}); err != nil {
			return err
		}
	}
	gz, err := profileBytes(p, run)
	if err != nil {
		return err
	}
	return r.Out.Checkpoint(run, gz)
}

// copyOf copies a run deeply, with what run.json has of it.
func copyOf(run *results.Run) (*results.Run, error) {
	data, err := json.Marshal(run)
	if err != nil {
		return nil, err
	}
	out := new(results.Run)
	return out, json.Unmarshal(data, out)
}

// profileBytes are a profile with what pprof shows of its run.
func profileBytes(p *pprof.Profile, run *results.Run) ([]byte, error) {
	meta := profile.MetaOf(run)
	p.Comments, p.TimeNanos, p.DurationNanos = meta.Comments, meta.Started.UnixNano(), meta.Duration.Nanoseconds()
	var gz bytes.Buffer
	err := profile.Write(&gz, p)
	return gz.Bytes(), err
}

// last makes the directory of a trial that has ended what is read of it.
func (u *underway) last() error {
	d, err := results.Open(u.dir)
	if err != nil {
		return fmt.Errorf("read what the trial gave: %w", shownpath.In(err, u.dir, "run"))
	}
	u.part.Dir = d
	return nil
}

func newUnderway(p *planned, scratch string) *underway {
	return &underway{planned: p, dir: filepath.Join(scratch, "run"), phases: map[string]*hdrhistogram.Histogram{}}
}
