// SPDX-License-Identifier: Apache-2.0

package wholefile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestStreamKeepsTheOldFile when what is to be written fails, and gives its error.
func TestStreamKeepsTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := Write(path, "old"); err != nil {
		t.Fatal(err)
	}
	own := &os.PathError{Op: "read", Path: "elsewhere", Err: os.ErrNotExist}
	err := Stream(path, func(w io.Writer) error {
		_, err := io.WriteString(w, "half of")
		return errors.Join(err, own)
	})
	if !errors.Is(err, own) {
		t.Errorf("%v, want %v", err, own)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "old" {
		t.Errorf("the file has %q, %v", data, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}
