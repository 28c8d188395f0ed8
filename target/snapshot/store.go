// SPDX-License-Identifier: Apache-2.0

//go:build linux

package snapshot

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
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
	about     = ".json" // a meta
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

// meta is kept beside a snapshot: QEMU's stream has no checksum.
type meta struct {
	Bytes   int64  `json:"bytes"`
	CRC32C  uint32 `json:"crc32c"`
	Printed []byte `json:"printed,omitempty"`
}

// Reading is a snapshot that is read.
type Reading struct {
	Printed []byte // by its guest until then
	file    *os.File
	meta    meta
	read    meta
}

// Open opens the snapshot. nil: there is none, or none that may be read.
func (e *Entry) Open() *Reading {
	f, err := os.Open(e.path(suffix))
	if err != nil {
		return nil
	}
	r := &Reading{file: f}
	b, err := os.ReadFile(e.path(about))
	if err != nil || json.Unmarshal(b, &r.meta) != nil {
		f.Close()
		return nil
	}
	r.Printed = r.meta.Printed
	now := time.Now()
	_ = os.Chtimes(e.path(suffix), now, now) // used last
	return r
}

// Read implements io.Reader.
func (r *Reading) Read(p []byte) (int, error) {
	n, err := r.file.Read(p)
	r.read.add(p[:n])
	return n, err
}

// Whole says, after all was read, what is wrong with it.
func (r *Reading) Whole() error {
	if r.read.Bytes != r.meta.Bytes || r.read.CRC32C != r.meta.CRC32C {
		return fmt.Errorf("read snapshot: %d bytes of checksum %08x, written were %d of %08x", r.read.Bytes, r.read.CRC32C, r.meta.Bytes, r.meta.CRC32C)
	}
	return nil
}

// Close closes it.
func (r *Reading) Close() error { return r.file.Close() }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (m *meta) add(p []byte) {
	m.Bytes += int64(len(p))
	m.CRC32C = crc32.Update(m.CRC32C, castagnoli, p)
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
	file  *os.File
	entry *Entry
	meta  meta
}

// Create begins a snapshot.
func (e *Entry) Create() (*Writing, error) {
	f, err := os.CreateTemp(e.store.dir, tmpPrefix)
	if err != nil {
		return nil, fmt.Errorf("keep snapshot: %w", err)
	}
	return &Writing{file: f, entry: e}, nil
}

// Write implements io.Writer.
func (w *Writing) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	w.meta.add(p[:n])
	return n, err
}

// Drop removes what was written.
func (w *Writing) Drop() error { return errors.Join(w.file.Close(), os.Remove(w.file.Name())) }

// Keep makes it the snapshot of its entry, with what its guest had printed, and makes
// room.
func (w *Writing) Keep(printed []byte) error {
	err := w.file.Close()
	w.meta.Printed = printed
	b, merr := json.Marshal(w.meta)
	if err = errors.Join(err, merr); err == nil {
		err = os.WriteFile(w.entry.path(about), b, 0o600)
	}
	if err == nil {
		err = os.Rename(w.file.Name(), w.entry.path(suffix))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("keep snapshot: %w", err), os.Remove(w.file.Name()))
	}
	return w.entry.store.prune()
}

func (s *Store) remove(name string) error {
	var errs []error
	for _, suffix := range []string{suffix, about, lock} {
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
