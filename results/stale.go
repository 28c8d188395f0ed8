// SPDX-License-Identifier: Apache-2.0

//go:build unix

package results

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// A process that is killed leaves its temporary directory behind, but without
// the lock that shows its life; the next one that creates a run beside it
// removes it.

// makeTemp makes a temporary directory for a run beside dir, and locks it as
// long as the file is open.
func makeTemp(dir string) (tmp string, lock *os.File, err error) {
	removeStale(filepath.Dir(dir))
	for range 10 {
		if tmp, err = os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".tmp-"); err != nil {
			return "", nil, fmt.Errorf("create run directory: %w", err)
		}
		if lock, err = os.Open(tmp); err != nil {
			continue
		}
		// Where a file system has no locks, nobody gets one to remove it.
		_ = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
		// It may have been taken for a dead one before it was locked.
		if _, err = os.Lstat(tmp); err == nil {
			return tmp, lock, nil
		}
		_ = lock.Close()
	}
	return "", nil, fmt.Errorf("create run directory: %w", errors.Join(err, errors.New("it does not stay there")))
}

// removeStale removes the temporary directories of dead processes.
func removeStale(parent string) {
	found, _ := filepath.Glob(filepath.Join(parent, ".*.tmp-*"))
	for _, tmp := range found {
		d, err := os.OpenFile(tmp, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
		if err != nil {
			continue
		}
		if syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil && onlyOurs(d) {
			_ = os.RemoveAll(tmp)
		}
		_ = d.Close()
	}
}

// onlyOurs tells whether a directory holds nothing but files of a run.
func onlyOurs(d *os.File) bool {
	names, err := d.Readdirnames(-1)
	return err == nil && !slices.ContainsFunc(names, func(name string) bool {
		return !slices.Contains([]string{RunFile, HistogramsFile, ProfileFile, DeathsFile}, name)
	})
}
