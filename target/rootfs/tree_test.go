// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rootfs

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// sample is a root with what can be in one.
func sample(t *testing.T) *Tree {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	for _, name := range []string{"usr/bin", "etc", "proc/1", "dev"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, link := range map[string]string{"bin": "usr/bin", "etc/sh": "/usr/bin/sh", "usr/bin/out": "../../../secret",
		"usr/bin/loop": "loop", "usr/bin/nowhere": "/none", "abs": "/usr"} {
		if err := os.Symlink(link, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]os.FileMode{"usr/bin/sh": 0o755, "usr/bin/plain": 0o644, "proc/1/maps": 0o644, "../secret": 0o755} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "usr/bin/sh"), 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "usr/bin/sh"), filepath.Join(dir, "usr/bin/sh2")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "etc/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree
}

// TestEach: every entry is there once, with its attributes, before what it holds; what
// the guest mounts over is not, nor what a link leads to.
func TestEach(t *testing.T) {
	tree := sample(t)
	var paths []string
	entries, bodies := map[string]Entry{}, map[string]string{}
	if err := tree.Each(func(e *Entry, body io.Reader) error {
		paths = append(paths, e.Path)
		entries[e.Path] = *e
		if body != nil {
			b, err := io.ReadAll(body)
			bodies[e.Path] = string(b)
			return err
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{"/abs", "/bin", "/etc", "/etc/fifo", "/etc/sh", "/usr", "/usr/bin", "/usr/bin/loop",
		"/usr/bin/nowhere", "/usr/bin/out", "/usr/bin/plain", "/usr/bin/sh", "/usr/bin/sh2"}
	if !slices.Equal(paths, want) {
		t.Errorf("got  %q\nwant %q", paths, want)
	}
	sh, sh2 := entries["/usr/bin/sh"], entries["/usr/bin/sh2"]
	if sh.Mode != unix.S_IFREG|unix.S_ISUID|0o755 || sh.Links != 2 || sh.Inode != sh2.Inode || sh.Size != 10 || bodies["/usr/bin/sh"] != "usr/bin/sh" || sh.UID != 0 {
		t.Errorf("%+v, %q", sh, bodies["/usr/bin/sh"])
	}
	if e := entries["/usr/bin/out"]; e.Link != "../../../secret" || e.Mode&unix.S_IFMT != unix.S_IFLNK {
		t.Errorf("%+v", e)
	}
	if e := entries["/etc/fifo"]; e.Mode != unix.S_IFIFO|0o600 {
		t.Errorf("%+v", e)
	}
	// Two files of one page, and 13 inodes.
	if tree.Unpacked != 2*4096+13<<10 || tree.Packed < 10+13 || tree.Packed > 4096 || tree.LeftOut() != "" {
		t.Errorf("%d bytes unpacked, %d packed, left out: %q", tree.Unpacked, tree.Packed, tree.LeftOut())
	}
}

// TestLookPath: links lead where they would if the directory were the root, and never
// out of it.
func TestLookPath(t *testing.T) {
	tree := sample(t)
	for name, want := range map[string]string{
		"sh":             "/usr/bin/sh",
		"/bin/sh":        "/bin/sh",
		"/etc/sh":        "/etc/sh",
		"/abs/bin/sh2":   "/abs/bin/sh2",
		"/../../bin/sh":  "/../../bin/sh",
		"secret":         "there is no such program in --root",
		"/usr/bin/out":   "there is no such program in --root", // /secret, which is beside the root
		"/bin/nowhere":   "there is no such program in --root",
		"/bin/loop":      "too many levels of symbolic links",
		"/bin/plain":     "it may not be executed in --root",
		"/etc":           "it is no file in --root",
		"/":              "it is no file in --root",
		"/usr/bin/sh/sh": "there is no such program in --root",
		"./sh":           "an absolute path",
	} {
		got, err := tree.LookPath(name)
		if err != nil && !strings.HasPrefix(want, "/") && strings.Contains(err.Error(), want) {
			continue
		}
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	for name, want := range map[string]string{"/bin/new": "/usr/bin/new", "/etc/a/b": "/etc/a/b", "/abs/bin/sh": "/usr/bin/sh", "/etc/sh": "/etc/sh"} {
		if got := tree.Place(name); got != want {
			t.Errorf("place %s: %s, want %s", name, got, want)
		}
	}
}

// TestOpenRefuses: one line says what is wrong with a directory.
func TestOpenRefuses(t *testing.T) {
	tree := sample(t)
	for _, tt := range []struct {
		dir, want string
		prepare   func(dir string) error
	}{
		{filepath.Join(tree.Dir, "none"), "there is no such directory", nil},
		{filepath.Join(tree.Dir, "usr/bin/sh"), "it is no directory", nil},
		{tree.Dir, "the largest file up to /etc/sparse is /etc/sparse, 4096 MiB", func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, "etc/sparse"), nil, 0o644), os.Truncate(filepath.Join(dir, "etc/sparse"), 4<<30))
		}},
		{tree.Dir, "which is mapprof's own", func(dir string) error { return os.Mkdir(filepath.Join(dir, "mapprof"), 0o755) }},
	} {
		if tt.prepare != nil {
			if err := tt.prepare(tt.dir); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Open(tt.dir); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "--root ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", tt.dir, err, tt.want)
		}
	}
}

// TestUnreadable: what another user may not read is left out, and what else there is
// isn't.
func TestUnreadable(t *testing.T) {
	tree := sample(t)
	for _, name := range []string{"usr/bin/plain", "etc"} {
		if err := os.Chmod(filepath.Join(tree.Dir, name), 0); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 { // files are asked for as nobody, by this thread
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := unix.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Setfsuid(0) }()
	}
	var paths []string
	if err := tree.Each(func(e *Entry, _ io.Reader) error { paths = append(paths, e.Path); return nil }); err != nil {
		t.Fatal(err)
	}
	if want := []string{"/etc", "/usr/bin/plain"}; !slices.Equal(tree.Unreadable, want) || !slices.Contains(paths, "/usr/bin/sh") || slices.Contains(paths, "/usr/bin/plain") {
		t.Errorf("unreadable %q, want %q; there are %q", tree.Unreadable, want, paths)
	}
	if err := os.Chmod(filepath.Join(tree.Dir, "etc"), 0o755); err != nil && os.Geteuid() != 0 {
		t.Fatal(err)
	}
}

// TestLeftOut: what may not be read is named in one line, a few of it by its path.
func TestLeftOut(t *testing.T) {
	tree := &Tree{Dir: "r", Unreadable: []string{"/a", "/b", "/c", "/d", "/e"}}
	if got, want := tree.LeftOut(), "--root r: left out, for this user may not read them: /a, /b, /c and 2 others (run mapprof as root to have them)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
