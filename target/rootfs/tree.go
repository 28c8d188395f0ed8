// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rootfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// MaxBytes bounds what a root may take: a guest has it in memory, twice while it
// boots.
const MaxBytes = 2 << 30

// Own is the directory in a guest's root that is mapprof's.
const Own = "/mapprof"

// mounted are the directories that a guest mounts over: what is in them isn't read.
var mounted = []string{"proc", "sys", "dev"}

// Tree is a directory. Close it.
type Tree struct {
	Dir string // as it was given
	// Unpacked is what the entries take of a guest's memory, Packed what the archive
	// takes that they come in, in bytes.
	Unpacked, Packed int64
	// Unreadable are the paths that this user may not read, and that are left out.
	Unreadable []string

	root *os.Root
}

// Entry is a file, a directory, or what else there is.
type Entry struct {
	Path     string // absolute, in the guest
	Mode     uint32 // of stat(2), with the type
	UID, GID uint32
	MTime    int64 // seconds
	Major    uint32
	Minor    uint32 // of a device
	Link     string // what a symbolic link holds
	Size     int64  // of a file
	// Inode is equal for paths of one file, of which there are Links.
	Inode [2]uint64
	Links uint64
}

// Open looks at all that is in a directory. Its errors name it.
func Open(dir string) (_ *Tree, err error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("--root %s: there is no such directory", dir)
	case err != nil:
		return nil, fmt.Errorf("--root %s: %w", dir, reason(err))
	case !info.IsDir():
		return nil, fmt.Errorf("--root %s: it is no directory (unpack an archive or an image first)", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("--root %s: %w", dir, reason(err))
	}
	t := &Tree{Dir: dir, root: root}
	defer func() {
		if err != nil {
			root.Close()
		}
	}()
	if _, err := root.Lstat(Own[1:]); err == nil {
		return nil, fmt.Errorf("--root %s: it has a %s, which is mapprof's own in a guest", dir, Own)
	}
	return t, t.measure()
}

// measure adds up what the entries take, until that is too much.
func (t *Tree) measure() error {
	largest, seen := Entry{}, map[[2]uint64]bool{}
	return t.Each(func(e *Entry, _ io.Reader) error {
		const page, inode, header = 4096, 1 << 10, 112 + 4
		t.Unpacked += inode
		t.Packed += header + int64(len(e.Path)+len(e.Link))
		if e.Links > 1 && seen[e.Inode] {
			return nil
		}
		if e.Links > 1 {
			seen[e.Inode] = true
		}
		t.Unpacked += (e.Size + page - 1) / page * page
		t.Packed += e.Size
		if e.Size > largest.Size {
			largest = *e
		}
		if t.Unpacked > MaxBytes {
			return fmt.Errorf("--root %s: it takes more than the %d MiB of a guest's memory that it may (the largest file up to %s is %s, %d MiB)",
				t.Dir, int64(MaxBytes>>20), e.Path, largest.Path, largest.Size>>20)
		}
		return nil
	})
}

// Close ends it.
func (t *Tree) Close() error { return t.root.Close() }

// Bytes is what a guest's memory must have room for. Its root may take half of what
// the archive leaves.
func (t *Tree) Bytes() int64 { return t.Packed + 2*t.Unpacked }

// Each calls f with every entry, a directory before what it holds. What a file holds is
// in body, of Size bytes; reading less fails only what f returns.
func (t *Tree) Each(f func(e *Entry, body io.Reader) error) error {
	t.Unreadable = nil
	return t.dir(".", f)
}

func (t *Tree) dir(name string, f func(*Entry, io.Reader) error) error {
	d, err := t.root.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrPermission) {
		t.Unreadable = append(t.Unreadable, path.Join("/", name))
		return nil
	}
	if err != nil {
		return t.failed(name, err)
	}
	names, err := d.Readdirnames(-1)
	if err = errors.Join(err, d.Close()); err != nil {
		return t.failed(name, err)
	}
	slices.Sort(names)
	for _, base := range names {
		if err := t.entry(path.Join(name, base), f); err != nil {
			return err
		}
	}
	return nil
}

// entry calls f with what is at a path, and with what is below it.
func (t *Tree) entry(name string, f func(*Entry, io.Reader) error) error {
	info, err := t.root.Lstat(name)
	if err != nil {
		return t.failed(name, err)
	}
	if slices.Contains(mounted, name) {
		return nil
	}
	e, err := newEntry(name, info)
	if err != nil {
		return t.failed(name, err)
	}
	switch e.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		if e.Link, err = t.root.Readlink(name); err != nil {
			return t.failed(name, err)
		}
	case unix.S_IFREG:
		return t.file(name, e, f)
	}
	if err := f(e, nil); err != nil {
		return err
	}
	if e.Mode&unix.S_IFMT == unix.S_IFDIR {
		return t.dir(name, f)
	}
	return nil
}

// file calls f with a regular file. A FIFO in its place would block without O_NONBLOCK.
func (t *Tree) file(name string, e *Entry, f func(*Entry, io.Reader) error) error {
	file, err := t.root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrPermission) {
		t.Unreadable = append(t.Unreadable, e.Path)
		return nil
	}
	if err != nil {
		return t.failed(name, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return t.failed(name, errors.Join(err, errors.New("it changed while it was read")))
	}
	e.Size = info.Size()
	return f(e, file)
}

func newEntry(name string, info fs.FileInfo) (*Entry, error) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, errors.New("its attributes are not known")
	}
	e := &Entry{Path: "/" + name, Mode: st.Mode, UID: st.Uid, GID: st.Gid, MTime: st.Mtim.Sec,
		Inode: [2]uint64{st.Dev, st.Ino}, Links: uint64(st.Nlink)} //nolint:unconvert // on arm64 it has 32 bits
	if me := uint32(os.Geteuid()); e.UID == me { // who unpacked it stands for root
		e.UID = 0
	}
	if mine := uint32(os.Getegid()); e.GID == mine {
		e.GID = 0
	}
	switch e.Mode & unix.S_IFMT {
	case unix.S_IFCHR, unix.S_IFBLK:
		e.Major, e.Minor = unix.Major(st.Rdev), unix.Minor(st.Rdev)
	case unix.S_IFDIR:
		e.Links = 1
	case unix.S_IFREG:
		e.Size = st.Size
	}
	return e, nil
}

func (t *Tree) failed(name string, err error) error {
	return fmt.Errorf("--root %s: read %s: %w", t.Dir, path.Join("/", name), reason(err))
}

// reason is an error without the path, which is told by who adds to it.
func reason(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// LeftOut says in one line what is left out; empty: nothing is.
func (t *Tree) LeftOut() string {
	n := len(t.Unreadable)
	if n == 0 {
		return ""
	}
	const shown = 3
	list := strings.Join(t.Unreadable[:min(n, shown)], ", ")
	if n > shown {
		list += fmt.Sprintf(" and %d others", n-shown)
	}
	return fmt.Sprintf("--root %s: left out, for this user may not read them: %s (run mapprof as root to have them)", t.Dir, list)
}
