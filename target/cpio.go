// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"fmt"
	"io"
	"math"
	"path"
	"strings"

	"github.com/mapprof/mapprof/target/rootfs"
)

// Modes of cpio entries, as in stat(2).
const (
	cpioType = 0o170000
	cpioDir  = 0o040000
	cpioFile = 0o100000
	cpioLink = 0o120000
	cpioChar = 0o020000
)

// cpioWriter writes the "newc" format that the kernel unpacks as initramfs.
// Parent directories are written before what they hold, once each; without
// them the kernel drops the file silently.
type cpioWriter struct {
	w     io.Writer
	off   int64
	ino   uint32
	dirs  map[string]bool
	links map[[2]uint64]uint32 // inodes of files that have several paths
}

func newCPIOWriter(w io.Writer) *cpioWriter {
	return &cpioWriter{w: w, dirs: map[string]bool{"/": true, ".": true}, links: map[[2]uint64]uint32{}}
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

// cpioHeader is what a header says beside the name.
type cpioHeader struct {
	ino, mode, uid, gid, nlink, mtime, major, minor uint32
	size                                            int64
}

func (c *cpioWriter) header(name string, h cpioHeader) error {
	if h.size < 0 || h.size > math.MaxUint32 {
		return fmt.Errorf("archive %s: %d bytes do not fit a newc archive", name, h.size)
	}
	if h.ino == 0 {
		c.ino++
		h.ino = c.ino
	}
	if h.nlink == 0 {
		h.nlink = 1
		if h.mode&cpioDir == cpioDir {
			h.nlink = 2
		}
	}
	// magic ino mode uid gid nlink mtime filesize devmajor devminor
	// rdevmajor rdevminor namesize check
	text := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		h.ino, h.mode, h.uid, h.gid, h.nlink, h.mtime, h.size, 0, 0, h.major, h.minor, len(name)+1, 0)
	if err := c.write([]byte(text + name + "\x00")); err != nil {
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
	return c.header(n, cpioHeader{mode: cpioDir | 0o755})
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
	return c.header(n, cpioHeader{mode: cpioChar | perm, major: major, minor: minor})
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
	return c.body(n, cpioHeader{mode: cpioFile | perm, size: size}, body)
}

// body writes a header and the size bytes that it tells of.
func (c *cpioWriter) body(name string, h cpioHeader, body io.Reader) error {
	if err := c.header(name, h); err != nil || h.size == 0 {
		return err
	}
	got, err := io.CopyN(c.w, body, h.size)
	c.off += got
	if err != nil {
		return fmt.Errorf("archive /%s: %w", name, err)
	}
	return c.pad()
}

// Entry writes an entry of a root: what a file with several paths holds with the first
// of them.
func (c *cpioWriter) Entry(e *rootfs.Entry, body io.Reader) error {
	n, err := c.clean(e.Path)
	if err != nil {
		return err
	}
	if err := c.parents(n); err != nil {
		return err
	}
	h := cpioHeader{mode: e.Mode, uid: e.UID, gid: e.GID, mtime: uint32(min(max(e.MTime, 0), math.MaxUint32)), major: e.Major, minor: e.Minor}
	switch e.Mode & cpioType {
	case cpioDir:
		c.dirs[n] = true
	case cpioLink:
		h.size, body = int64(len(e.Link)), strings.NewReader(e.Link)
	case cpioFile:
		h.size = e.Size
		if e.Links > 1 {
			h.nlink = uint32(min(e.Links, math.MaxUint32))
			if h.ino = c.links[e.Inode]; h.ino != 0 {
				h.size = 0
				break
			}
			c.ino++
			h.ino, c.links[e.Inode] = c.ino, c.ino
		}
	}
	return c.body(n, h, body)
}

// Close writes the trailer; it does not close the underlying writer.
func (c *cpioWriter) Close() error {
	if err := c.header("TRAILER!!!", cpioHeader{}); err != nil {
		return err
	}
	// The kernel wants nothing more; 512-byte blocks keep cpio(1) quiet.
	if r := c.off % 512; r != 0 {
		return c.write(make([]byte, 512-r))
	}
	return nil
}
