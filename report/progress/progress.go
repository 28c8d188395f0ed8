// SPDX-License-Identifier: Apache-2.0

package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

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
	io.Writer                     // of what else is printed meanwhile
	Begin(i, n int, label string) // of the i-th of n trials
	Stage(s Stage)
	End(err error) // of a trial
	Finish()       // may be called again
}

// New draws a bar on a terminal and writes plain lines elsewhere. Names and labels
// are written as they are.
func New(w io.Writer) Progress {
	if f, ok := w.(*os.File); ok && xterm.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		return newBar(f)
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

func (l *lines) Stage(s Stage) {
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

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
