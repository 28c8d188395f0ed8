// SPDX-License-Identifier: Apache-2.0

package wholefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Write replaces a file, or leaves it as it is. An error names the file, and
// not the temporary one beside it.
func Write(path, text string) error {
	if err := write(path, text); err != nil {
		var at *os.PathError
		var between *os.LinkError
		switch {
		case errors.As(err, &at):
			err = at.Err
		case errors.As(err, &between):
			err = between.Err
		}
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func write(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
