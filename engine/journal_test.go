// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/task"
)

// madeUpRecording is a trial of recordings: ten deaths an interval, made up.
type madeUpRecording struct {
	env     *task.Env
	job     trial.Job
	began   time.Time
	tally   *analyze.Tally
	profile *profile.Builder
	deaths  *results.DeathsWriter
	rows    *results.HistogramsWriter
}

// interval sends the deaths of one and their row.
func (m *madeUpRecording) interval() error {
	part, err := m.env.Uplink.Part(results.DeathsFile)
	if err != nil {
		return err
	}
	if m.deaths == nil {
		if m.deaths, err = results.NewDeathsWriter(part); err != nil {
			return err
		}
	} else {
		m.deaths.Reset(part)
	}
	h := results.NewHistogram()
	for i := range int64(10) {
		d := results.Death{Scenario: m.job.Scenario, Trial: m.job.Trial, Path: "rcu", MapType: "Array", PutNS: 1000, FreeNS: 1500 + i, FreedNS: 2000 + i}
		if err := errors.Join(m.tally.Add(&d), m.profile.Add(&d), m.deaths.Death(&d), h.RecordValue(1000+i)); err != nil {
			return err
		}
	}
	if err := errors.Join(m.deaths.Close(), part.Close()); err != nil {
		return err
	}
	if part, err = m.env.Uplink.Part(results.HistogramsFile); err != nil {
		return err
	}
	if m.rows == nil {
		m.rows = results.NewHistogramsWriter(part)
	} else {
		m.rows.Reset(part)
	}
	err = m.rows.Histogram(results.Tag(m.job.Scenario, m.job.Trial, results.PhaseLimbo), h, m.began, time.Now())
	return errors.Join(err, m.rows.Flush(), part.Close())
}

// run leaves the run directory of what there is.
func (m *madeUpRecording) run(dir string, partial bool) error {
	w, err := results.Create(dir)
	if err != nil {
		return err
	}
	defer w.Abort()
	w.List(results.DeathsFile, m.deaths.File())
	w.List(results.HistogramsFile, m.rows.File())
	limbo := m.tally.Distributions()[results.PhaseLimbo].Stats()
	phases := map[string]results.Stats{results.PhaseLimbo: limbo}
	run := &results.Run{
		IntervalNS: int64(m.job.Interval), Started: m.began, Ended: time.Now(), Partial: partial, Targets: []results.Target{{Kernel: results.Kernel{Release: "6.12"}}},
		Scenarios: []results.Scenario{{ID: m.job.Scenario, Workload: m.job.Workload, Strategy: results.Strategy{Requested: m.job.Strategy}, Phases: phases, Trials: []results.Trial{{
			Index: m.job.Trial, Started: m.began, DurationNS: uint64(time.Since(m.began)), Puts: limbo.N, Freed: limbo.N, Expected: limbo.N, Phases: phases, Partial: partial,
		}}}},
	}
	p, err := m.profile.Build(nil, profile.MetaOf(run))
	if err != nil {
		return err
	}
	var gz bytes.Buffer
	if err := errors.Join(profile.Write(&gz, p), w.Profile(gz.Bytes())); err != nil {
		return err
	}
	return w.Finish(run)
}

// TestJournalOfTrials: after each interval the run directory has the trials that are
// done, and of the one that runs what there is; so has the run of a trial that fails.
func TestJournalOfTrials(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	failed := errors.New("the machine was lost")
	checked := 0
	check := func(want ...uint64) {
		t.Helper()
		checked++
		d, err := results.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		var lines, sum uint64
		if err := errors.Join(Verify(d.Run), d.Deaths(func(*results.Death) error { lines++; return nil })); err != nil {
			t.Error(err)
		}
		s := &d.Run.Scenarios[0]
		for i, n := range want {
			if sum += n; len(s.Trials) != len(want) || s.Trials[i].Freed != n {
				t.Fatalf("%d trials, %+v; want %v", len(s.Trials), s.Trials, want)
			}
		}
		p, err := profile.OfDir(d)
		if err != nil || len(p.Sample) == 0 || !d.Run.Partial || lines != sum || s.Phases[results.PhaseLimbo].N != sum || s.Phases[results.PhaseLimbo].MaxNS != 1009 {
			t.Errorf("%v, partial %v, %d lines of %d, %+v", err, d.Run.Partial, lines, sum, s.Phases)
		}
	}
	handler := func(_ context.Context, env *task.Env, request []byte) (any, error) {
		m := &madeUpRecording{env: env, began: time.Now(), tally: analyze.NewTally(), profile: profile.NewBuilder()}
		if err := json.Unmarshal(request, &m.job); err != nil {
			return nil, err
		}
		for i := range uint64(2) {
			so := env.Dir + ".so-far"
			for _, step := range []func() error{m.interval, func() error { return m.run(so, true) }, func() error { return env.Uplink.Commit(so) }, func() error { return os.RemoveAll(so) }} {
				if err := step(); err != nil {
					return nil, err
				}
			}
			if n := 10 * (i + 1); m.job.Trial == 0 {
				check(n)
			} else {
				check(30, n)
			}
		}
		if err := m.interval(); err != nil || m.job.Trial == 1 {
			return nil, errors.Join(err, failed)
		}
		return task.None{}, m.run(env.Dir, false)
	}
	out, err := results.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Abort()
	t.Setenv("MAPPROF_CACHE", t.TempDir())
	options := trial.DefaultOptions()
	options.Interval = time.Second
	run, err := Run(t.Context(), Plan{
		Target: target.Local{Release: "6.12", Handlers: task.Handlers{trial.TaskRun: handler}}, Workload: "record",
		Strategies: []string{results.StrategyAny}, Trials: 2, Options: options, Out: out, Progress: NoProgress{},
	})
	if !errors.Is(err, failed) || run == nil || checked != 4 {
		t.Fatalf("%v, %v after %d intervals", run, err, checked)
	}
	check(30, 20)
	if run.Journal || !strings.Contains(run.PartialReason, "1 of 2 trials") || !run.Scenarios[0].Trials[1].Partial {
		t.Errorf("journal %v: %s", run.Journal, run.PartialReason)
	}
}
