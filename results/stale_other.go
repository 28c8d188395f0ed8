// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package results

import (
	"fmt"
	"os"
	"path/filepath"
)

// Where directories can't be locked, nothing tells an unfinished one of a dead
// process from one that is being written: none is removed.

const tempFile = ".mapprof-unfinished"

func makeTemp(dir string) (tmp string, lock *os.File, err error) {
	tmp, err = os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".tmp-")
	if err == nil {
		err = os.WriteFile(filepath.Join(tmp, tempFile), nil, 0o600)
	}
	if err != nil {
		return "", nil, fmt.Errorf("create run directory: %w", err)
	}
	return tmp, nil, nil
}

// Abandoned lists nothing: what is left of a dead process can't be told from
// what is being written.
func Abandoned(string) []string { return nil }

// syncDir does nothing: a directory can't be synced.
func syncDir(string) error { return nil }
