// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
)

// Path is where programs are searched for in a root.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// maxLinks is how many symbolic links may lead on, as in the kernel.
const maxLinks = 40

// resolve follows symbolic links as they lead where the directory is the root, and
// returns a path relative to it that has none. Of a path that isn't there, rest is what
// is missing.
func (t *Tree) resolve(name string) (found, rest string, err error) {
	left := strings.Split(name, "/")
	for links := 0; len(left) > 0; {
		part := left[0]
		switch part {
		case "", ".":
			left = left[1:]
			continue
		case "..":
			found, left = parent(found), left[1:]
			continue
		}
		next := path.Join(found, part)
		info, err := t.root.Lstat(next)
		if err != nil {
			return found, path.Join(left...), err
		}
		left = left[1:]
		if info.Mode()&fs.ModeSymlink == 0 {
			found = next
			continue
		}
		if links++; links > maxLinks {
			return found, "", syscall.ELOOP
		}
		target, err := t.root.Readlink(next)
		if err != nil {
			return found, "", err
		}
		if path.IsAbs(target) {
			found = ""
		}
		left = append(strings.Split(target, "/"), left...)
	}
	return found, "", nil
}

func parent(name string) string {
	if name = path.Dir(name); name == "." {
		return ""
	}
	return name
}

// Place is where a path of the guest lies when the root's links are followed, but for
// its last part.
func (t *Tree) Place(name string) string {
	dir, rest, _ := t.resolve(path.Dir(name))
	return path.Join("/", dir, rest, path.Base(name))
}

// LookPath finds a program as a shell in the root would: by its absolute path, or by its
// name in Path. It returns the path in the guest.
func (t *Tree) LookPath(name string) (string, error) {
	if path.IsAbs(name) {
		return name, t.executable(name)
	}
	if strings.Contains(name, "/") {
		return "", fmt.Errorf("run %s: with --root a program has an absolute path in %s, or is found by its name", name, t.Dir)
	}
	for _, dir := range strings.Split(Path, ":") {
		file := path.Join(dir, name)
		if t.executable(file) == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("run %s: there is no such program in --root %s", name, t.Dir)
}

func (t *Tree) executable(name string) error {
	at, _, err := t.resolve(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("run %s: there is no such program in --root %s", name, t.Dir)
	}
	if err != nil {
		return t.failed(name, err)
	}
	info, err := t.root.Lstat(path.Join(".", at))
	switch {
	case err != nil:
		return t.failed(name, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("run %s: it is no file in --root %s", name, t.Dir)
	case info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("run %s: it may not be executed in --root %s (chmod +x)", name, t.Dir)
	}
	return nil
}
