// SPDX-License-Identifier: Apache-2.0

package term

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	xterm "golang.org/x/term"
)

// Stage is where a trial is.
type Stage struct {
	Name  string
	Done  uint64 // of the stage's work
	Total uint64 // 0: not known
}

// Progress shows where a run is. Its methods may be called from any goroutine.
type Progress interface {
	Begin(i, n int, label string) // of the i-th of n trials
	Stage(s Stage)
	End(err error) // of a trial
	Finish()
}

// NewProgress draws bars on a terminal and writes plain lines elsewhere. Names
// and labels are written as they are.
func NewProgress(w io.Writer) Progress {
	if f, ok := w.(*os.File); ok && xterm.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		return newProgressBars(w)
	}
	return &progressLines{w: w}
}

// progressLines is progress where nobody watches: one line when a stage begins, and
// every few seconds while it lasts.
type progressLines struct {
	mu     sync.Mutex
	w      io.Writer
	prefix string
	last   string
	at     time.Time
	began  time.Time
}

const lineInterval = 5 * time.Second

func (l *progressLines) Begin(i, n int, label string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prefix, l.last, l.began = fmt.Sprintf("[%d/%d] %s", i+1, n, label), "", time.Now()
}

func (l *progressLines) Stage(s Stage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.Name == l.last && time.Since(l.at) < lineInterval {
		return
	}
	l.last, l.at = s.Name, time.Now()
	fmt.Fprintf(l.w, "%s: %s%s\n", l.prefix, s.Name, s.counts())
}

func (s Stage) counts() string {
	switch {
	case s.Total > 0:
		return fmt.Sprintf(" %d/%d", s.Done, s.Total)
	case s.Done > 0:
		return fmt.Sprintf(" %d", s.Done)
	}
	return ""
}

func (l *progressLines) End(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	word := "done"
	if err != nil {
		word = "failed"
	}
	fmt.Fprintf(l.w, "%s: %s in %.1f s\n", l.prefix, word, time.Since(l.began).Seconds())
}

func (l *progressLines) Finish() {}

// progressBars is progress on a terminal: one bar per trial.
type progressBars struct {
	mu      sync.Mutex
	writer  progress.Writer
	done    chan struct{}
	tracker *progress.Tracker
	label   string
}

func newProgressBars(w io.Writer) *progressBars {
	pw := progress.NewWriter()
	pw.SetOutputWriter(w)
	pw.SetAutoStop(false)
	pw.SetMessageLength(72)
	pw.SetUpdateFrequency(250 * time.Millisecond)
	pw.SetTrackerLength(20)
	pw.SetTrackerPosition(progress.PositionRight)
	pw.Style().Options.TimeInProgressPrecision = time.Second
	pw.Style().Options.TimeDonePrecision = 100 * time.Millisecond
	pw.SetStyle(progress.StyleBlocks)
	pw.Style().Visibility.ETA = true
	pw.Style().Visibility.Speed = false
	pw.Style().Visibility.Value = false
	b := &progressBars{writer: pw, done: make(chan struct{})}
	go func() { defer close(b.done); pw.Render() }()
	return b
}

func (b *progressBars) Begin(i, n int, label string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.label = fmt.Sprintf("[%d/%d] %s", i+1, n, label)
	b.tracker = &progress.Tracker{Message: b.label}
	b.writer.AppendTracker(b.tracker)
}

func (b *progressBars) Stage(s Stage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tracker == nil {
		return
	}
	b.tracker.UpdateMessage(b.label + ": " + s.Name)
	if s.Total > 0 {
		b.tracker.UpdateTotal(int64(s.Total))
		b.tracker.SetValue(int64(s.Done))
	}
}

func (b *progressBars) End(err error) {
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

func (b *progressBars) Finish() {
	b.writer.Stop()
	<-b.done
}
