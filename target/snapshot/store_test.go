// SPDX-License-Identifier: Apache-2.0

//go:build linux

package snapshot

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func keep(t *testing.T, e *Entry, state, printed string) {
	t.Helper()
	w, err := e.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, state); err != nil {
		t.Fatal(err)
	}
	if f, _ := e.Open(); f != nil {
		t.Error("a snapshot that is not whole can be had")
	}
	if err := w.Keep([]byte(printed)); err != nil {
		t.Fatal(err)
	}
}

func has(t *testing.T, e *Entry, state, printed string) {
	t.Helper()
	f, p := e.Open()
	if f == nil {
		t.Fatal("no snapshot")
	}
	defer f.Close()
	if b, err := io.ReadAll(f); err != nil || string(b) != state || string(p) != printed {
		t.Errorf("%q, %q, %v; want %q, %q", b, p, err, state, printed)
	}
}

func open(t *testing.T, max int64) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "snapshots"))
	if err != nil {
		t.Fatal(err)
	}
	s.max = max
	return s
}

func TestKeep(t *testing.T) {
	s := open(t, 1<<20)
	e, other := s.Entry("kernel", "program"), s.Entry("kernelp", "rogram")
	keep(t, e, "memory", "booting")
	has(t, e, "memory", "booting")
	if f, _ := other.Open(); f != nil {
		t.Error("what follows from something else is the same snapshot")
	}
	dropped, err := other.Create()
	if err != nil {
		t.Fatal(err)
	}
	if err := dropped.Drop(); err != nil {
		t.Error(err)
	}
	if err := e.Remove(); err != nil {
		t.Error(err)
	}
	if err := e.Remove(); err != nil { // another process was first
		t.Error(err)
	}
	left, err := os.ReadDir(s.dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if st, err := os.Stat(s.dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the directory is open to others: %v, %v", st.Mode(), err)
	}
}

func TestImpossible(t *testing.T) {
	e := open(t, 1<<20).Entry("kernel")
	if e.Impossible() {
		t.Error("impossible before anybody tried")
	}
	if err := e.SetImpossible(); err != nil {
		t.Fatal(err)
	}
	if !e.Impossible() {
		t.Error("not kept")
	}
}

// TestLock: who comes second waits, and no longer than it wants to.
func TestLock(t *testing.T) {
	e := open(t, 1<<20).Entry("kernel")
	unlock, err := e.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Lock(impatient); !errors.Is(err, context.Canceled) {
		t.Errorf("the second: %v", err)
	}
	unlocked := make(chan struct{})
	go func() {
		<-time.After(3 * lockPoll)
		close(unlocked)
		unlock()
	}()
	second, err := e.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer second()
	select {
	case <-unlocked:
	default:
		t.Error("two have it at once")
	}
}

// TestPrune: what was not used for longest goes, and what was never finished.
func TestPrune(t *testing.T) {
	s := open(t, 250)
	hundred := strings.Repeat("x", 100)
	a, b, c := s.Entry("a"), s.Entry("b"), s.Entry("c")
	for i, e := range []*Entry{a, b} {
		keep(t, e, hundred, "")
		old := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(e.path(suffix), old, old); err != nil {
			t.Fatal(err)
		}
	}
	abandoned, err := a.Create()
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := a.Create()
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * tmpAge)
	if err := os.Chtimes(abandoned.Name(), old, old); err != nil {
		t.Fatal(err)
	}
	if f, _ := a.Open(); f != nil { // so that b is the one
		f.Close()
	}
	keep(t, c, hundred, "")
	has(t, a, hundred, "")
	has(t, c, hundred, "")
	if f, _ := b.Open(); f != nil {
		t.Error("what was not used for longest is there")
	}
	if _, err := os.Stat(abandoned.Name()); err == nil {
		t.Error("what was never finished is there")
	}
	if _, err := os.Stat(fresh.Name()); err != nil {
		t.Error("what another process writes is gone")
	}
}
