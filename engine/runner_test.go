// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/analyze"
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
		if err := w.Histogram(tag, results.NewHistogram(), time.Now(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	err = w.Finish(&results.Run{Targets: []results.Target{{}}, Scenarios: []results.Scenario{{ID: "s", Trials: []results.Trial{
		{Index: 3, Metrics: map[string]results.Metric{"lookup_hit": {}}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
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
			r := &runner{Plan: Plan{Out: w}, result: &results.Run{Started: time.Now()}, summer: analyze.NewSummer()}
			err = r.foldHistograms(partWith(t, c.tags))
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
