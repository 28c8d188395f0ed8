// SPDX-License-Identifier: Apache-2.0

package wholefile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Write replaces a file, or leaves it as it is. An error names the file, and
// not the temporary one beside it.
func Write(path, text string) error {
	return Stream(path, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

// Stream is Write of what content writes, which need not fit into memory. An error
// of content itself comes back as it is.
func Stream(path string, content func(io.Writer) error) error {
	own, err := stream(path, content)
	if own != nil || err == nil {
		return own
	}
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

// stream tells an error of content from one of the file.
func stream(path string, content func(io.Writer) error) (own, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	w := &watched{w: f}
	if own = content(w); w.err != nil {
		own, err = nil, w.err
	}
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); own != nil || err != nil {
		return own, err
	}
	return nil, os.Rename(f.Name(), path)
}

// watched keeps the first error of writing.
type watched struct {
	w   io.Writer
	err error
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if w.err == nil {
		w.err = err
	}
	return n, err
}
