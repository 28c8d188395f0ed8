// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mapprof/mapprof/target/kernels"
	"golang.org/x/sys/unix"
)

// Scratch is a directory for the time of one run, for what a guest sends. A
// process that is killed leaves its directory behind, without the lock that
// shows its life; the next one removes it.
type Scratch struct {
	Dir  string
	lock *os.File
}

// NewScratch makes a scratch directory in the cache folder and removes those
// whose process is gone.
func NewScratch() (*Scratch, error) {
	c, err := kernels.OpenCache(kernels.Options{})
	if err != nil {
		return nil, err
	}
	base := filepath.Join(c.Dir, "scratch")
	if err := os.MkdirAll(base, 0o700); err != nil {
		return nil, fmt.Errorf("create scratch directory: %w (set MAPPROF_CACHE to a writable folder)", err)
	}
	// New ones are made and old ones removed under one lock, so that none is
	// seen between its making and its own lock.
	all, err := lockFile(filepath.Join(base, "lock"), unix.LOCK_EX)
	if err != nil {
		return nil, fmt.Errorf("create scratch directory: %w", err)
	}
	defer all.Close()
	old, _ := filepath.Glob(filepath.Join(base, "run-*"))
	for _, d := range old {
		// A live owner holds the lock; one without is gone.
		if l, err := lockFile(filepath.Join(d, ".lock"), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			_ = os.RemoveAll(d)
			_ = l.Close()
		}
	}
	dir, err := os.MkdirTemp(base, "run-")
	if err != nil {
		return nil, fmt.Errorf("create scratch directory: %w", err)
	}
	l, err := lockFile(filepath.Join(dir, ".lock"), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("create scratch directory: %w", err)
	}
	return &Scratch{Dir: dir, lock: l}, nil
}

// Close removes the directory.
func (s *Scratch) Close() error {
	return errors.Join(os.RemoveAll(s.Dir), s.lock.Close())
}

func lockFile(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
	}
}
