// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/internal/golden"
	"github.com/mapprof/mapprof/target/guest"
	"github.com/mapprof/mapprof/target/machine"
	"github.com/mapprof/mapprof/target/rootfs"
)

type cpioEntry struct {
	name       string
	mode       uint64
	major, min uint64
	body       string
}

// readCPIO reads a newc archive as the kernel does: headers and bodies on
// four-byte boundaries, until the trailer.
func readCPIO(t *testing.T, b []byte) []cpioEntry {
	t.Helper()
	var out []cpioEntry
	inodes := map[uint64]bool{}
	off := 0
	align := func() { off = (off + 3) &^ 3 }
	for {
		if off+110 > len(b) || string(b[off:off+6]) != "070701" {
			t.Fatalf("no header at %d", off)
		}
		var f [13]uint64
		for i := range f {
			v, err := strconv.ParseUint(string(b[off+6+8*i:off+14+8*i]), 16, 32)
			if err != nil {
				t.Fatalf("header at %d: %v", off, err)
			}
			f[i] = v
		}
		off += 110
		name := string(b[off : off+int(f[11])])
		if !strings.HasSuffix(name, "\x00") {
			t.Fatalf("name %q does not end in NUL", name)
		}
		name = strings.TrimSuffix(name, "\x00")
		off += int(f[11])
		align()
		body := string(b[off : off+int(f[6])])
		off += int(f[6])
		align()
		if name == "TRAILER!!!" {
			if rest := bytes.Trim(b[off:], "\x00"); len(rest) != 0 {
				t.Fatalf("%d bytes after the trailer", len(rest))
			}
			return out
		}
		if inodes[f[0]] && f[4] < 2 {
			t.Fatalf("inode %d twice: the kernel would make a hard link", f[0])
		}
		inodes[f[0]] = true
		out = append(out, cpioEntry{name, f[1], f[9], f[10], body})
	}
}

func TestCPIO(t *testing.T) {
	var b bytes.Buffer
	c := newCPIOWriter(&b)
	for _, err := range []error{
		c.Dir("/dev"),
		c.Char("/dev/console", 0o600, 5, 1),
		c.File("/a/b/file", 0o644, 5, strings.NewReader("hello")),
		c.File("/a/other", 0o755, 0, strings.NewReader("")),
		c.Dir("/a/b"),
		c.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if b.Len()%512 != 0 {
		t.Errorf("%d bytes: not whole blocks", b.Len())
	}
	want := []cpioEntry{
		{"dev", 0o040755, 0, 0, ""},
		{"dev/console", 0o020600, 5, 1, ""},
		{"a", 0o040755, 0, 0, ""},
		{"a/b", 0o040755, 0, 0, ""},
		{"a/b/file", 0o100644, 0, 0, "hello"},
		{"a/other", 0o100755, 0, 0, ""},
	}
	if got := readCPIO(t, b.Bytes()); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// TestCPIOEntries: an entry keeps its attributes; of a file with two paths the first has
// what it holds, and the second is its link.
func TestCPIOEntries(t *testing.T) {
	var b bytes.Buffer
	c := newCPIOWriter(&b)
	file := rootfs.Entry{Path: "/bin/a", Mode: cpioFile | 0o4755, UID: 3, GID: 4, MTime: 1e9, Size: 3, Inode: [2]uint64{9, 9}, Links: 2}
	link := file
	link.Path = "/bin/b"
	for _, e := range []*rootfs.Entry{
		{Path: "/bin", Mode: cpioDir | 0o700}, &file, &link,
		{Path: "/sbin", Mode: cpioLink | 0o777, Link: "bin"},
		{Path: "/fifo", Mode: 0o010600},
		{Path: "/null", Mode: cpioChar | 0o666, Major: 1, Minor: 3},
	} {
		if err := c.Entry(e, strings.NewReader("abc")); err != nil {
			t.Fatal(err)
		}
	}
	// The directory is there, with its attributes.
	if err := errors.Join(c.File("/bin/c", 0o755, 0, strings.NewReader("")), c.Close()); err != nil {
		t.Fatal(err)
	}
	want := []cpioEntry{
		{"bin", 0o040700, 0, 0, ""}, {"bin/a", 0o104755, 0, 0, "abc"}, {"bin/b", 0o104755, 0, 0, ""},
		{"sbin", 0o120777, 0, 0, "bin"}, {"fifo", 0o010600, 0, 0, ""}, {"null", 0o020666, 1, 3, ""}, {"bin/c", 0o100755, 0, 0, ""},
	}
	if got := readCPIO(t, b.Bytes()); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	first, second := bytes.Index(b.Bytes(), []byte("bin/a\x00"))-110, bytes.Index(b.Bytes(), []byte("bin/b\x00"))-110
	header := func(at int) string { return b.String()[at : at+54] }
	if header(first) != header(second) || !strings.HasSuffix(header(first), "00000003"+"00000004"+"00000002"+"3B9ACA00") {
		t.Errorf("headers of one file:\n%s\n%s", header(first), header(second))
	}
	if err := newCPIOWriter(io.Discard).Entry(&file, strings.NewReader("a")); err == nil || !strings.Contains(err.Error(), "/bin/a") {
		t.Errorf("a file that shrank: %v", err)
	}
}

func TestCPIORefuses(t *testing.T) {
	for _, name := range []string{"", "/", "relative", "/a/../b", "/a//b", "/a/", "/a\x00b"} {
		if err := newCPIOWriter(io.Discard).File(name, 0o644, 0, strings.NewReader("")); err == nil {
			t.Errorf("%q accepted", name)
		}
	}
	c := newCPIOWriter(io.Discard)
	if err := c.File("/short", 0o644, 9, strings.NewReader("x")); !errors.Is(err, io.EOF) {
		t.Errorf("short body: %v", err)
	}
	if err := c.File("/huge", 0o644, 1<<32, strings.NewReader("x")); err == nil {
		t.Error("a file of 4 GiB accepted")
	}
}

func TestInitramfs(t *testing.T) {
	init := filepath.Join(t.TempDir(), "init")
	if err := os.WriteFile(init, []byte("binary"), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(init)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b bytes.Buffer
	if err := writeInitramfs(&b, f, nil, []string{"guest", "x y"}, map[string][]byte{"/etc/z": []byte("Z"), "/a": []byte("A")}); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, e := range readCPIO(t, b.Bytes()) {
		fmt.Fprintf(&got, "%06o %d,%d %s %q\n", e.mode, e.major, e.min, e.name, e.body)
	}
	golden.Check(t, "testdata/initramfs.golden", got.String())

	for _, name := range []string{"/init", guest.ArgvFile, "../x"} {
		if err := writeInitramfs(io.Discard, f, nil, nil, map[string][]byte{name: nil}); err == nil {
			t.Errorf("job file %s accepted", name)
		}
	}
}

func TestCheckStatic(t *testing.T) {
	if err := checkStatic("text", strings.NewReader("#!/bin/sh\n"), machine.Here()); err == nil {
		t.Error("a script accepted")
	}
	for _, p := range []string{"/bin/sh", "/usr/bin/env"} {
		f, err := os.Open(p)
		if err != nil {
			continue
		}
		defer f.Close()
		var d *DynamicBinaryError
		if err := checkStatic(p, f, machine.Here()); errors.As(err, &d) {
			if !strings.Contains(err.Error(), "CGO_ENABLED=0") || d.Loader == "" {
				t.Errorf("%v: no hint", err)
			}
			return
		}
	}
	t.Error("no dynamically linked program refused")
}
