// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"

	"github.com/mapprof/mapprof/target/guest"
	"github.com/mapprof/mapprof/target/machine"
	"github.com/mapprof/mapprof/target/rootfs"
)

// DynamicBinaryError is a mapprof that needs a dynamic loader and so can't be
// a guest's /init.
type DynamicBinaryError struct {
	Path   string
	Loader string
}

func (e *DynamicBinaryError) Error() string {
	return fmt.Sprintf("use %s as the guest's /init: it needs the dynamic loader %s (build it with CGO_ENABLED=0)", e.Path, e.Loader)
}

// checkStatic refuses a binary that the guest could not run.
func checkStatic(path string, r io.ReaderAt, m *machine.Machine) error {
	f, err := elf.NewFile(r)
	if err != nil {
		return fmt.Errorf("use %s as the guest's /init: %w", path, err)
	}
	if f.Machine != m.ELF {
		return fmt.Errorf("use %s as the guest's /init: it is for %s (the guest is %s)", path, f.Machine, m.Arch)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			b := make([]byte, min(p.Filesz, 256))
			if _, err := p.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("use %s as the guest's /init: %w", path, err)
			}
			return &DynamicBinaryError{Path: path, Loader: string(bytes.TrimRight(b, "\x00"))}
		}
	}
	return nil
}

// writeInitramfs writes the guest's whole file system: the root, if there is one, init
// as guest.InitFile, the job's arguments, its files, and the few nodes needed before
// devtmpfs.
//
// It is not compressed: under software emulation the guest would spend longer
// on unpacking than the host does on copying.
func writeInitramfs(w io.Writer, init *os.File, root *rootfs.Tree, args []string, files map[string][]byte) error {
	st, err := init.Stat()
	if err != nil {
		return fmt.Errorf("write initramfs: %w", err)
	}
	if args == nil {
		args = []string{}
	}
	argv, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("write initramfs: %w", err)
	}
	bw := bufio.NewWriterSize(w, 1<<20)
	c := newCPIOWriter(bw)
	initFile, place := guest.InitFile, func(name string) string { return name }
	dirs := []string{"/dev", "/proc", "/sys", "/tmp", "/mapprof"}
	if root != nil {
		initFile, place = guest.RootInitFile, root.Place
		dirs = slices.DeleteFunc(dirs, func(dir string) bool { return dir == "/tmp" }) // it may be a link
		if err := root.Each(c.Entry); err != nil {
			return err
		}
	}
	for _, dir := range dirs {
		err = errors.Join(err, c.Dir(dir))
	}
	err = errors.Join(err,
		c.Char("/dev/console", 0o600, 5, 1),
		c.Char("/dev/null", 0o666, 1, 3),
		c.File(initFile, 0o755, st.Size(), io.NewSectionReader(init, 0, st.Size())),
		c.File(guest.ArgvFile, 0o644, int64(len(argv)), bytes.NewReader(argv)),
	)
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		if n == initFile || n == guest.ArgvFile {
			err = errors.Join(err, fmt.Errorf("%s is reserved", n))
			continue
		}
		err = errors.Join(err, c.File(place(n), 0o755, int64(len(files[n])), bytes.NewReader(files[n])))
	}
	err = errors.Join(err, c.Close(), bw.Flush())
	if err != nil {
		return fmt.Errorf("write initramfs: %w", err)
	}
	return nil
}
