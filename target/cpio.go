// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"fmt"
	"io"
	"math"
	"path"
	"strings"
)

// Modes of cpio entries, as in stat(2).
const (
	cpioDir  = 0o040000
	cpioFile = 0o100000
	cpioChar = 0o020000
)

// cpioWriter writes the "newc" format that the kernel unpacks as initramfs.
// Parent directories are written before what they hold, once each; without
// them the kernel drops the file silently.
type cpioWriter struct {
	w    io.Writer
	off  int64
	ino  uint32
	dirs map[string]bool
}

func newCPIOWriter(w io.Writer) *cpioWriter {
	return &cpioWriter{w: w, dirs: map[string]bool{"/": true, ".": true}}
}

func (c *cpioWriter) write(p []byte) error {
	n, err := c.w.Write(p)
	c.off += int64(n)
	return err
}

func (c *cpioWriter) pad() error {
	if r := c.off % 4; r != 0 {
		return c.write(make([]byte, 4-r))
	}
	return nil
}

func (c *cpioWriter) header(name string, mode uint32, size int64, major, minor uint32) error {
	if size < 0 || size > math.MaxUint32 {
		return fmt.Errorf("archive %s: %d bytes do not fit a newc archive", name, size)
	}
	c.ino++
	nlink := 1
	if mode&cpioDir == cpioDir {
		nlink = 2
	}
	// magic ino mode uid gid nlink mtime filesize devmajor devminor
	// rdevmajor rdevminor namesize check
	h := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		c.ino, mode, 0, 0, nlink, 0, size, 0, 0, major, minor, len(name)+1, 0)
	if err := c.write([]byte(h + name + "\x00")); err != nil {
		return err
	}
	return c.pad()
}

// clean checks an absolute path and returns it without the leading slash,
// which newc names do not have.
func (c *cpioWriter) clean(name string) (string, error) {
	if !strings.HasPrefix(name, "/") || name == "/" || path.Clean(name) != name || strings.ContainsRune(name, 0) {
		return "", fmt.Errorf("archive %q: not a clean absolute path", name)
	}
	return name[1:], nil
}

func (c *cpioWriter) parents(name string) error {
	if d := path.Dir(name); !c.dirs[d] {
		return c.Dir("/" + d)
	}
	return nil
}

// Dir writes a directory and those above it that are not there yet.
func (c *cpioWriter) Dir(name string) error {
	n, err := c.clean(name)
	if err != nil || c.dirs[n] {
		return err
	}
	if err := c.parents(n); err != nil {
		return err
	}
	c.dirs[n] = true
	return c.header(n, cpioDir|0o755, 0, 0, 0)
}

// Char writes a character device node.
func (c *cpioWriter) Char(name string, perm, major, minor uint32) error {
	n, err := c.clean(name)
	if err != nil {
		return err
	}
	if err := c.parents(n); err != nil {
		return err
	}
	return c.header(n, cpioChar|perm, 0, major, minor)
}

// File writes a regular file of exactly size bytes.
func (c *cpioWriter) File(name string, perm uint32, size int64, body io.Reader) error {
	n, err := c.clean(name)
	if err != nil {
		return err
	}
	if err := c.parents(n); err != nil {
		return err
	}
	if err := c.header(n, cpioFile|perm, size, 0, 0); err != nil {
		return err
	}
	got, err := io.CopyN(c.w, body, size)
	c.off += got
	if err != nil {
		return fmt.Errorf("archive %s: %w", name, err)
	}
	return c.pad()
}

// Close writes the trailer; it does not close the underlying writer.
func (c *cpioWriter) Close() error {
	if err := c.header("TRAILER!!!", 0, 0, 0, 0); err != nil {
		return err
	}
	// The kernel wants nothing more; 512-byte blocks keep cpio(1) quiet.
	if r := c.off % 512; r != 0 {
		return c.write(make([]byte, 512-r))
	}
	return nil
}
