// SPDX-License-Identifier: Apache-2.0

//go:build linux

package snapshot

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// MaxBytes is how much a store may hold. A machine of 1 GiB that has booted takes 150
// to 250 MB.
const MaxBytes = 4 << 30

const (
	suffix    = ".state"
	console   = ".console" // what the guest had printed until then
	lock      = ".lock"
	tmpPrefix = ".tmp-"
	// tmpAge is after how long a file that was never finished is nobody's.
	tmpAge   = time.Hour
	lockPoll = 20 * time.Millisecond
)

// Store is a directory of snapshots.
type Store struct {
	dir string
	max int64
}

// Open makes the directory, for its owner alone: a snapshot is the memory of a machine.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	return &Store{dir: dir, max: MaxBytes}, nil
}

// Entry is the place of one snapshot.
type Entry struct {
	store *Store
	name  string
}

// Entry is the place of what follows from all of these.
func (s *Store) Entry(from ...string) *Entry {
	h := sha256.New()
	for _, f := range from {
		fmt.Fprintf(h, "%d:%s", len(f), f)
	}
	return &Entry{store: s, name: hex.EncodeToString(h.Sum(nil)[:16])}
}

func (e *Entry) path(suffix string) string { return filepath.Join(e.store.dir, e.name+suffix) }

// Lock waits until no other run makes this snapshot, or until ctx ends.
func (e *Entry) Lock(ctx context.Context) (unlock func(), err error) {
	f, err := os.OpenFile(e.path(lock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock snapshot: %w", err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			f.Close()
			return nil, fmt.Errorf("lock snapshot: %w", err)
		}
		select {
		case <-time.After(lockPoll):
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		}
	}
}

// Open opens the snapshot, and gives what its guest had printed. nil: there is none, or
// none that may be read.
func (e *Entry) Open() (f *os.File, printed []byte) {
	f, err := os.Open(e.path(suffix))
	if err != nil {
		return nil, nil
	}
	now := time.Now()
	_ = os.Chtimes(e.path(suffix), now, now) // used last
	printed, _ = os.ReadFile(e.path(console))
	return f, printed
}

// Impossible tells whether it is known that there can be no snapshot. Its file is empty.
func (e *Entry) Impossible() bool {
	st, err := os.Stat(e.path(suffix))
	return err == nil && st.Size() == 0
}

// SetImpossible keeps that there can be none.
func (e *Entry) SetImpossible() error { return os.WriteFile(e.path(suffix), nil, 0o600) }

// Remove removes a snapshot that was of no use.
func (e *Entry) Remove() error {
	return e.store.remove(e.name)
}

// Writing is a snapshot that isn't whole yet.
type Writing struct {
	*os.File
	entry *Entry
}

// Create begins a snapshot.
func (e *Entry) Create() (*Writing, error) {
	f, err := os.CreateTemp(e.store.dir, tmpPrefix)
	if err != nil {
		return nil, fmt.Errorf("keep snapshot: %w", err)
	}
	return &Writing{f, e}, nil
}

// Drop removes what was written.
func (w *Writing) Drop() error { return errors.Join(w.Close(), os.Remove(w.Name())) }

// Keep makes it the snapshot of its entry, with what its guest had printed, and makes
// room.
func (w *Writing) Keep(printed []byte) error {
	err := w.Close()
	if err == nil {
		err = os.WriteFile(w.entry.path(console), printed, 0o600)
	}
	if err == nil {
		err = os.Rename(w.Name(), w.entry.path(suffix))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("keep snapshot: %w", err), os.Remove(w.Name()))
	}
	return w.entry.store.prune()
}

func (s *Store) remove(name string) error {
	var errs []error
	for _, suffix := range []string{suffix, console, lock} {
		if err := os.Remove(filepath.Join(s.dir, name+suffix)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// prune removes what was used least lately until the rest is no more than the store
// may hold. Another process may do the same: what is gone is gone.
func (s *Store) prune() error {
	list, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("make room for snapshots: %w", err)
	}
	var kept []fs.FileInfo
	var sum int64
	for _, d := range list {
		st, err := d.Info()
		if err != nil {
			continue
		}
		unfinished := strings.HasPrefix(d.Name(), tmpPrefix)
		switch {
		case unfinished && time.Since(st.ModTime()) > tmpAge:
			_ = os.Remove(filepath.Join(s.dir, d.Name()))
		case !unfinished && strings.HasSuffix(d.Name(), suffix):
			kept, sum = append(kept, st), sum+st.Size()
		}
	}
	slices.SortFunc(kept, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), strings.Compare(a.Name(), b.Name()))
	})
	for _, st := range kept {
		if sum <= s.max {
			break
		}
		if err := s.remove(strings.TrimSuffix(st.Name(), suffix)); err != nil {
			return fmt.Errorf("make room for snapshots: %w", err)
		}
		sum -= st.Size()
	}
	return nil
}
