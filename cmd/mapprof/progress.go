// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	bar "github.com/jedib0t/go-pretty/v6/progress"
	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/target/task"
	"golang.org/x/term"
)

// newProgress draws bars on a terminal and writes plain lines elsewhere.
func newProgress(w io.Writer) engine.Progress {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		return newBars(w)
	}
	return &lines{w: w}
}

// lines is progress where nobody watches: one line when a stage begins, and
// every few seconds while it lasts.
type lines struct {
	mu     sync.Mutex
	w      io.Writer
	prefix string
	last   string
	at     time.Time
	began  time.Time
}

const lineInterval = 5 * time.Second

func (l *lines) Begin(i, n int, label string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prefix, l.last, l.began = fmt.Sprintf("[%d/%d] %s", i+1, n, label), "", time.Now()
}

func (l *lines) Stage(e task.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Stage == l.last && time.Since(l.at) < lineInterval {
		return
	}
	l.last, l.at = e.Stage, time.Now()
	fmt.Fprintf(l.w, "%s: %s%s\n", l.prefix, e.Stage, counts(e))
}

func counts(e task.Progress) string {
	switch {
	case e.Total > 0:
		return fmt.Sprintf(" %d/%d", e.Done, e.Total)
	case e.Done > 0:
		return fmt.Sprintf(" %d", e.Done)
	}
	return ""
}

func (l *lines) End(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	word := "done"
	if err != nil {
		word = "failed"
	}
	fmt.Fprintf(l.w, "%s: %s in %.1f s\n", l.prefix, word, time.Since(l.began).Seconds())
}

func (l *lines) Finish() {}

// bars is progress on a terminal: one bar per trial.
type bars struct {
	mu      sync.Mutex
	writer  bar.Writer
	done    chan struct{}
	tracker *bar.Tracker
	label   string
}

func newBars(w io.Writer) *bars {
	pw := bar.NewWriter()
	pw.SetOutputWriter(w)
	pw.SetAutoStop(false)
	pw.SetMessageLength(72)
	pw.SetUpdateFrequency(250 * time.Millisecond)
	pw.SetTrackerLength(20)
	pw.SetTrackerPosition(bar.PositionRight)
	pw.Style().Options.TimeInProgressPrecision = time.Second
	pw.Style().Options.TimeDonePrecision = 100 * time.Millisecond
	pw.SetStyle(bar.StyleBlocks)
	pw.Style().Visibility.ETA = true
	pw.Style().Visibility.Speed = false
	pw.Style().Visibility.Value = false
	b := &bars{writer: pw, done: make(chan struct{})}
	go func() { defer close(b.done); pw.Render() }()
	return b
}

func (b *bars) Begin(i, n int, label string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.label = fmt.Sprintf("[%d/%d] %s", i+1, n, label)
	b.tracker = &bar.Tracker{Message: b.label}
	b.writer.AppendTracker(b.tracker)
}

func (b *bars) Stage(e task.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tracker == nil {
		return
	}
	b.tracker.UpdateMessage(b.label + ": " + e.Stage)
	if e.Total > 0 {
		b.tracker.UpdateTotal(int64(e.Total))
		b.tracker.SetValue(int64(e.Done))
	}
}

func (b *bars) End(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	word := "done"
	if err != nil {
		word = "failed"
	}
	b.tracker.UpdateMessage(b.label + ": " + word)
	if err != nil {
		b.tracker.MarkAsErrored()
	} else {
		b.tracker.MarkAsDone()
	}
}

func (b *bars) Finish() {
	b.writer.Stop()
	<-b.done
}
