// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// bombPiece is how much of a bomb is packed at a time.
const bombPiece = 16 << 20

// debBomb is a package whose data is a first piece and n times another. Each is a
// member of a gzip file, a frame of a zstd file, or a block of an xz file.
func debBomb(extension string, first, more []byte, n int) []byte {
	deb := []byte("!<arch>\n")
	member := func(name string, size int) {
		deb = fmt.Appendf(deb, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, 0, 0, 0, "100644", size)
	}
	member("debian-binary", 4)
	deb = append(deb, "2.0\n"...)
	member("data.tar."+extension, len(first)+n*len(more))
	deb = append(deb, first...)
	return append(deb, bytes.Repeat(more, n)...)
}

// packed packs data as a whole file.
func packed(t *testing.T, extension string, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch extension {
	case "gz":
		w, err = gzip.NewWriterLevel(&out, gzip.BestCompression)
	case "zst":
		w, err = zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	case "xz":
		w, err = xz.WriterConfig{DictCap: 1 << 16}.NewWriter(&out)
	}
	if err == nil {
		_, err = w.Write(data)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const xzStreamHeader = 12

// xzBlocks are the blocks of an xz file.
func xzBlocks(file []byte) []byte {
	footer := file[len(file)-12:]
	index := (int(binary.LittleEndian.Uint32(footer[4:])) + 1) * 4
	return file[xzStreamHeader : len(file)-12-index]
}

// withDictionary makes an xz file's first block ask for another dictionary.
func withDictionary(file []byte, size byte) []byte {
	file = bytes.Clone(file)
	header := file[xzStreamHeader:][:(int(file[xzStreamHeader])+1)*4]
	header[4] = size
	binary.LittleEndian.PutUint32(header[len(header)-4:], crc32.ChecksumIEEE(header[:len(header)-4]))
	return file
}

// tarOf begins an archive with a file of that size, and fills it up to a length.
func tarOf(t *testing.T, name string, size int64, length int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: size}); err != nil {
		t.Fatal(err)
	}
	return append(b.Bytes(), make([]byte, length-b.Len())...)
}

// sharedRelocations is an EFI program of many sections that share relocations.
func sharedRelocations() []byte {
	const header, sections = 0x80, 65535
	b := make([]byte, header)
	copy(b, "MZ")
	binary.LittleEndian.PutUint32(b[0x3c:], header)
	w := bytes.NewBuffer(append(b, "PE\x00\x00"...))
	section := pe.SectionHeader32{Name: [8]byte{'.', 'a'}, NumberOfRelocations: 65535, PointerToRelocations: header}
	for _, part := range []any{pe.FileHeader{Machine: pe.IMAGE_FILE_MACHINE_AMD64, NumberOfSections: sections}, bytes.Repeat(encoded(section), sections)} {
		w.Write(encoded(part))
	}
	return w.Bytes()
}

func encoded(v any) []byte {
	b, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		panic(err)
	}
	return b
}

// TestKernelBombs: no file that is given as a kernel takes mapprof above 1 GB, and
// what would unpack to too much is refused.
func TestKernelBombs(t *testing.T) {
	const limit = 1e9
	binary := builtMapprof(t)
	// A process counts as large as who started it, so this one stays small.
	zeros := make([]byte, bombPiece)
	const pieces = 192 // 3 GiB
	filler := tarOf(t, "./usr/share/zeros", bombPiece*(pieces+1), bombPiece)
	image := tarOf(t, "./boot/vmlinuz-1", 250<<20, bombPiece)
	xzZeros := packed(t, "xz", zeros)
	xzFirst := packed(t, "xz", filler)
	xzFirst = xzFirst[:xzStreamHeader+len(xzBlocks(xzFirst))] // an index is never reached
	wide := func(size int) []byte {
		var out bytes.Buffer
		w, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(size), zstd.WithSingleSegment(false))
		if err != nil {
			t.Fatal(err)
		}
		// More than a block, or it is the window.
		for range 5 {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	for _, c := range []struct {
		name    string
		file    []byte
		refused string
		size    int64 // of the file; 0: no more than its content, which is small
	}{
		{"deb, gzip", debBomb("gz", packed(t, "gz", filler), packed(t, "gz", zeros), pieces), "data.tar.gz: unpacks to too much data", 0},
		{"deb, zstd", debBomb("zst", packed(t, "zst", filler), packed(t, "zst", zeros), pieces), "data.tar.zst: unpacks to too much data", 0},
		{"deb, xz", debBomb("xz", xzFirst, xzBlocks(xzZeros), pieces), "data.tar.xz: unpacks to too much data", 0},
		{"deb with an image of 250 MiB", debBomb("zst", packed(t, "zst", image), packed(t, "zst", zeros), 16), "is no kernel image of x86-64 or arm64", 0},
		{"deb, xz, a second block's dictionary of 4 GiB", debBomb("xz", xzFirst, xzBlocks(withDictionary(xzZeros, 40)), 3), "xz dictionary of 4096 MiB is too big", 0},
		{"deb, xz, dictionaries of 128 MiB", debBomb("xz", xzFirst, xzBlocks(withDictionary(packed(t, "xz", zeros[:1<<10]), 30)), 300), "unexpected EOF", 0},
		{"deb, xz, more blocks than anybody makes", debBomb("xz", xzFirst, xzBlocks(packed(t, "xz", zeros[:1])), 10_000), "more than 1024 blocks", 0},
		{"deb, zstd, a window of 256 MiB", debBomb("zst", wide(256<<20), nil, 0), "window size exceeded", 0},
		{"deb, zstd, windows of 128 MiB", debBomb("zst", packed(t, "zst", filler), wide(128<<20), 300), "unexpected EOF", 0},
		{"unified image, relocations for 50 GB", sharedRelocations(), "is an EFI program without a Linux setup header", 0},
		{"an arm64 Image of 320 MiB, gzipped", append(packed(t, "gz", fakeARM64Image("6.99.0-test")), bytes.Repeat(packed(t, "gz", zeros), 20)...), "unpacks to too much data", 0},
		{"a bzImage of 255 MiB", fakeBzImage("6.99.0-test"), "made up, and ends here", 255 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if len(c.file) > 4<<20 {
				t.Errorf("a bomb of %d bytes is none", len(c.file))
			}
			dir := t.TempDir()
			path := filepath.Join(dir, "kernel")
			qemu := "#!/bin/sh\ncase \"$1\" in --version) echo 'QEMU emulator version 0.0 (made up)'; exit 0;; -sandbox) exit 0;; esac\necho made up, and ends here >&2\nexit 1\n"
			if err := errors.Join(os.WriteFile(path, c.file, 0o644), os.Truncate(path, max(c.size, int64(len(c.file)))), os.WriteFile(filepath.Join(dir, "qemu"), []byte(qemu), 0o755)); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), binary, "run", "--target", "vm", "--accel", "tcg", "--offline", "--kernel", path, "-o", filepath.Join(dir, "run"))
			cmd.Env = append(os.Environ(), "MAPPROF_CACHE="+filepath.Join(dir, "cache"), "MAPPROF_QEMU="+filepath.Join(dir, "qemu"))
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			peak, err := runForPeak(t, cmd)
			t.Logf("%d bytes take %d MB, %v", len(c.file), peak/1e6, cmd.ProcessState.UserTime())
			if peak > limit {
				t.Errorf("takes %d MB", peak/1e6)
			}
			if err == nil || !strings.Contains(stderr.String(), c.refused) {
				t.Errorf("%v, want %q: %s", err, c.refused, &stderr)
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		})
	}
}
