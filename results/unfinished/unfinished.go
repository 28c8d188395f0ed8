// SPDX-License-Identifier: Apache-2.0

//go:build unix

package unfinished

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/mapprof/mapprof/internal/shownpath"
)

// Marker is an empty file in a run directory under its temporary name. It
// tells it from another program's directory of such a name.
const Marker = ".mapprof-unfinished"

// Make makes a temporary directory for a run beside dir, and locks it as long as the
// file is open. Those of dead processes beside it, with no other files than these, go.
func Make(dir string, files []string) (tmp string, lock *os.File, err error) {
	each(filepath.Dir(dir), files, func(tmp string) { _ = os.RemoveAll(tmp) })
	if tmp, err = os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".tmp-"); err != nil {
		var at *os.PathError
		if errors.As(err, &at) {
			err = at.Err // its path is that of the temporary name
		}
		return "", nil, fmt.Errorf("create run directory %s: %w", dir, err)
	}
	if lock, err = os.Open(tmp); err == nil {
		// Where a file system has no locks, nobody gets one to remove it.
		_ = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
		// Only now may it be taken for a run's: nobody removes it unlocked.
		if err = os.WriteFile(filepath.Join(tmp, Marker), nil, 0o600); err == nil {
			return tmp, lock, nil
		}
		_ = lock.Close()
	}
	_ = os.RemoveAll(tmp)
	return "", nil, fmt.Errorf("create run directory: %w", shownpath.In(err, tmp, dir))
}

// Abandoned lists what processes that were killed left in a directory, with no other
// files than these. The next Make there removes it.
func Abandoned(parent string, files []string) []string {
	var found []string
	each(parent, files, func(tmp string) { found = append(found, tmp) })
	return found
}

// each calls f for the temporary directories of dead processes, each of
// which is locked meanwhile. One that was killed before it wrote Marker leaves
// an empty directory, which nothing tells from another program's.
func each(parent string, files []string, f func(tmp string)) {
	entries, _ := os.ReadDir(parent) // unreadable: none
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") || !strings.Contains(e.Name(), ".tmp-") {
			continue
		}
		tmp := filepath.Join(parent, e.Name())
		d, err := os.OpenFile(tmp, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
		if err != nil {
			continue
		}
		if syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil && onlyOurs(d, files) {
			f(tmp)
		}
		_ = d.Close()
	}
}

// onlyOurs tells whether a directory is a run's under its temporary name, and
// holds nothing but files of a run.
func onlyOurs(d *os.File, files []string) bool {
	names, err := d.Readdirnames(-1)
	return err == nil && slices.Contains(names, Marker) && !slices.ContainsFunc(names, func(name string) bool {
		return name != Marker && !slices.Contains(files, name)
	})
}

// SyncDir makes names in a directory last.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
