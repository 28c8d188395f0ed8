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
	if e.Open() != nil {
		t.Error("a snapshot that is not whole can be had")
	}
	if err := w.Keep([]byte(printed)); err != nil {
		t.Fatal(err)
	}
}

func has(t *testing.T, e *Entry, state, printed string) {
	t.Helper()
	r := e.Open()
	if r == nil {
		t.Fatal("no snapshot")
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil || string(b) != state || string(r.Printed) != printed {
		t.Errorf("%q, %q, %v; want %q, %q", b, r.Printed, err, state, printed)
	}
	if err := r.Whole(); err != nil {
		t.Error(err)
	}
}

// TestWhole: what was changed, cut short or lengthened shows.
func TestWhole(t *testing.T) {
	e := open(t, 1<<20).Entry("kernel")
	keep(t, e, "memory", "")
	for _, changed := range []string{"memorY", "memor", "memory!", ""} {
		if err := os.WriteFile(e.path(suffix), []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		r := e.Open()
		if _, err := io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		if err := r.Whole(); err == nil {
			t.Errorf("%q is taken", changed)
		}
		r.Close()
	}
	if err := os.WriteFile(e.path(about), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if e.Open() != nil {
		t.Error("a snapshot of which nothing is known is taken")
	}
}

func open(t *testing.T, most int64) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "snapshots"))
	if err != nil {
		t.Fatal(err)
	}
	s.max = most
	return s
}

func TestKeep(t *testing.T) {
	s := open(t, 1<<20)
	e, other := s.Entry("kernel", "program"), s.Entry("kernelp", "rogram")
	keep(t, e, "memory", "booting")
	has(t, e, "memory", "booting")
	if other.Open() != nil {
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
	if err := os.Chtimes(abandoned.file.Name(), old, old); err != nil {
		t.Fatal(err)
	}
	if r := a.Open(); r != nil { // so that b is the one
		r.Close()
	}
	keep(t, c, hundred, "")
	has(t, a, hundred, "")
	has(t, c, hundred, "")
	if b.Open() != nil {
		t.Error("what was not used for longest is there")
	}
	if _, err := os.Stat(abandoned.file.Name()); err == nil {
		t.Error("what was never finished is there")
	}
	if _, err := os.Stat(fresh.file.Name()); err != nil {
		t.Error("what another process writes is gone")
	}
}
