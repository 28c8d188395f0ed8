// SPDX-License-Identifier: Apache-2.0

//go:build unix

package regularfile

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.WriteFile(in("file"), []byte("text"), 0o644), syscall.Mkfifo(in("fifo"), 0o644), os.Symlink("fifo", in("link"))); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", in("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	f, err := Open(in("file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if data, err := io.ReadAll(f); err != nil || string(data) != "text" {
		t.Errorf("%q %v", data, err)
	}
	// It returns at all: nobody writes to the FIFO.
	for path, want := range map[string]string{in("fifo"): "a FIFO", in("link"): "a FIFO", dir: "a directory", "/dev/null": "a device"} {
		var perr *fs.PathError
		if _, err := Open(path); !errors.Is(err, ErrNotRegular) || !errors.As(err, &perr) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	if _, err := Open(in("socket")); err == nil {
		t.Error("a socket was opened")
	}
	if _, err := Open(in("nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
}
