// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/wire"
)

// partWith is what a trial 3 of scenario s gave, with histograms of those tags.
func partWith(t *testing.T, tags []string) *results.Dir {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "part")
	w, err := results.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, tag := range tags {
		if err := w.Histogram(tag, results.NewHistogram(), time.Unix(1002, 0), time.Unix(9000, 0)); err != nil {
			t.Fatal(err)
		}
	}
	err = w.Finish(&results.Run{Targets: []results.Target{{}}, Ended: time.Unix(1010, 0), Scenarios: []results.Scenario{{ID: "s", Trials: []results.Trial{
		{Index: 3, Started: time.Unix(1001, 0), Metrics: map[string]results.Metric{"lookup_hit": {}}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// given is a trial that gave that part.
func given(t *testing.T, part *results.Dir, shift time.Duration) *underway {
	t.Helper()
	u := newUnderway(&planned{}, t.TempDir())
	u.part.Dir, u.placed, u.shift = part, true, shift
	return u
}

// TestFoldHistograms: of what a guest sends, only what its trial has is kept.
func TestFoldHistograms(t *testing.T) {
	for name, c := range map[string]struct {
		tags []string
		bad  string
	}{
		"its own":          {tags: []string{"s/t3/limbo", "s/t3/op", "s/t3/lookup_hit"}},
		"none":             {},
		"another scenario": {tags: []string{"s/t3/limbo", "x/t3/limbo"}, bad: "x/t3/limbo"},
		"another trial":    {tags: []string{"s/t4/limbo"}, bad: "s/t4/limbo"},
		"an unknown phase": {tags: []string{"s/t3/limbo2"}, bad: "s/t3/limbo2"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "run")
			w, err := results.Create(out)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Abort()
			r := &runner{Plan: Plan{Out: w, Options: trial.Options{NoDeaths: true}}, result: &results.Run{Started: time.Now()}, summer: analyze.NewSummer()}
			err = r.takeNew(given(t, partWith(t, c.tags), 0))
			if c.bad != "" {
				if err == nil || !strings.Contains(err.Error(), c.bad+" is not of this trial") {
					t.Error(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Finish(&results.Run{Targets: []results.Target{{}}}); err != nil {
				t.Fatal(err)
			}
			d, err := results.Open(out)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			if err := d.EachHistogram(func(h *hdrhistogram.Histogram) error { got = append(got, h.Tag()); return nil }); err != nil {
				t.Fatal(err)
			}
			if strings.Join(got, " ") != strings.Join(c.tags, " ") {
				t.Errorf("%q, want %q", got, c.tags)
			}
		})
	}
}

// TestFoldedIntervals: a guest's clock is of another day, and of another pace; on this
// machine's the trial ends when it was done, and none begins before the last one's end.
// What a guest says to have lasted longer than its trial ends with that.
func TestFoldedIntervals(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	w, err := results.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	r := &runner{Plan: Plan{Out: w, Options: trial.Options{NoDeaths: true}}, result: &results.Run{}, summer: analyze.NewSummer()}
	host := time.Unix(1795639000, 0)
	var began []time.Time
	for i, after := range []time.Duration{0, 20 * time.Second, 25 * time.Second} { // the third took 5 s here, and 9 s there
		part := partWith(t, []string{[]string{"s/t3/limbo", "s/t3/queue", "s/t3/free"}[i]})
		shift := onHostsClock(part.Run, nil, host.Add(after), r.logged)
		tr := &part.Run.Scenarios[0].Trials[0]
		tr.Started = tr.Started.Add(shift)
		began = append(began, tr.Started)
		if err := r.takeNew(given(t, part, shift)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(&results.Run{Targets: []results.Target{{}}}); err != nil {
		t.Fatal(err)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := [][3]int64{{-9, -8, 0}, {11, 12, 20}, {20, 21, 29}} // the trial's and the histogram's begin, the end
	var got [][3]int64
	err = d.EachHistogram(func(h *hdrhistogram.Histogram) error {
		at := func(ms int64) int64 { return ms/1000 - host.Unix() }
		got = append(got, [3]int64{began[len(got)].Unix() - host.Unix(), at(h.StartTimeMs()), at(h.EndTimeMs())})
		return nil
	})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, want %v: %v", got, want, err)
	}
}

// TestOnHostsClock: what was told when the measured part began is closer than when the
// machine was gone, and no closer where it came late.
func TestOnHostsClock(t *testing.T) {
	part := &results.Run{Ended: time.Unix(1010, 0), Scenarios: []results.Scenario{{Trials: []results.Trial{{Started: time.Unix(1001, 0)}}}}}
	at := func(s int64) *time.Time { u := time.Unix(s, 0); return &u }
	for _, tt := range []struct {
		began         *time.Time
		ended, logged int64
		want          int64 // when it began
	}{
		{nil, 2010, 1900, 2001},
		{at(2001), 2013, 1900, 2001}, // three seconds until the machine was gone
		{at(2009), 2010, 1900, 2001}, // told when all was over
		{at(2001), 2013, 2005, 2005},
		{nil, 2010, 2005, 2005},
	} {
		shift := onHostsClock(part, tt.began, time.Unix(tt.ended, 0), time.Unix(tt.logged, 0))
		if got := part.Scenarios[0].Trials[0].Started.Add(shift).Unix(); got != tt.want {
			t.Errorf("%+v: it began at %d", tt, got)
		}
	}
}

// TestFoldDeath: nor a death that is another's.
func TestFoldDeath(t *testing.T) {
	w, err := results.Create(filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	r, part := &runner{Plan: Plan{Out: w}}, partWith(t, nil).Run
	for _, tt := range []struct {
		d   results.Death
		bad bool
	}{
		{results.Death{Scenario: "s", Trial: 3}, false},
		{results.Death{Scenario: "s", Trial: 4}, true},
		{results.Death{Scenario: "\x1b[2J", Trial: 3}, true},
	} {
		if err := r.foldDeath(part, &tt.d); (err != nil) != tt.bad || err != nil && strings.ContainsRune(err.Error(), '\x1b') {
			t.Errorf("%q, trial %d: %v", tt.d.Scenario, tt.d.Trial, err)
		}
	}
}

// A failed proof fails the run and stands at the top of what it prints.
func TestFailedProofFailsTheRun(t *testing.T) {
	run := &results.Run{Scenarios: []results.Scenario{{ID: "bigarray/6.0/rcu", Trials: []results.Trial{{
		Failures: []string{"addressing: FAIL: index 536870912 answered with element 0"},
	}}}}}
	if err := Verify(run); err == nil || !strings.Contains(err.Error(), "addressing: FAIL: index 536870912") {
		t.Errorf("verify: %v", err)
	}
}

// TestLeftRun: what a guest sent before it failed counts, unless it was hostile.
func TestLeftRun(t *testing.T) {
	whole := []string{results.DeathsFile, results.RunFile}
	for _, c := range []struct {
		name  string
		files []string
		err   error
		want  bool
	}{
		{"out of memory", whole, &target.GuestError{Reason: target.GuestOutOfMemory}, true},
		{"its mapprof failed", whole, errors.New("the guest's mapprof failed: …"), true},
		{"before a commit", nil, &target.GuestError{Reason: target.GuestOutOfMemory}, false},
		{"without run.json", whole[:1], &target.GuestError{Reason: target.GuestPanicked}, false},
		{"cut off in a frame", whole, fmt.Errorf("run: %w", &wire.ChannelError{Ended: true}), true},
		{"hostile", whole, fmt.Errorf("run: %w", &wire.ChannelError{Reason: "a second hello"}), false},
	} {
		if got := leftRun(&target.Done{Outcome: target.Outcome{Files: c.files}}, c.err); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
