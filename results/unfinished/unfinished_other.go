// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package unfinished

import (
	"fmt"
	"os"
	"path/filepath"
)

// Where directories can't be locked, nothing tells an unfinished one of a dead
// process from one that is being written: none is removed.

// Marker is an empty file in a run directory under its temporary name.
const Marker = ".mapprof-unfinished"

// Make makes a temporary directory for a run beside dir.
func Make(dir string, _ []string) (tmp string, lock *os.File, err error) {
	tmp, err = os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".tmp-")
	if err == nil {
		err = os.WriteFile(filepath.Join(tmp, Marker), nil, 0o600)
	}
	if err != nil {
		return "", nil, fmt.Errorf("create run directory: %w", err)
	}
	return tmp, nil, nil
}

// Abandoned lists nothing: what is left of a dead process can't be told from
// what is being written.
func Abandoned(string, []string) []string { return nil }

// SyncDir does nothing: a directory can't be synced.
func SyncDir(string) error { return nil }
