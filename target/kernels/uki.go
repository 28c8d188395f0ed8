// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"bufio"
	"bytes"
	"context"
	"debug/pe"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// linuxSection returns the bzImage in a unified kernel image, which is an EFI
// program with the kernel in its section .linux; nil: the file has none.
func linuxSection(r io.ReaderAt, size int64) (*io.SectionReader, error) {
	section, err := peSection(r, size, ".linux")
	if err != nil || section == nil {
		return nil, err
	}
	// On disk it is padded; before binutils 2.36 objcopy left the true size out.
	n := int64(section.SizeOfRawData)
	if v := int64(section.VirtualSize); v > 0 && v < n {
		n = v
	}
	switch {
	case n > maxKernelImageBytes:
		return nil, &NotKernelError{"", fmt.Sprintf("holds a kernel of %d MiB, which is too big", n>>20), ""}
	case int64(section.PointerToRawData)+n > size:
		return nil, &NotKernelError{"", "is cut short: its section .linux ends beyond the file", "copy or build it again"}
	}
	return io.NewSectionReader(r, int64(section.PointerToRawData), n), nil
}

// peSection returns the header of a PE file's section, nil where there is none or
// the file only begins as one does. It reads the table of sections and nothing
// else: debug/pe reads the relocations of each, and a few bytes can have many
// sections share them.
func peSection(r io.ReaderAt, size int64, name string) (*pe.SectionHeader32, error) {
	const peOffset = 0x3c
	var at [4]byte
	if _, err := r.ReadAt(at[:], peOffset); err != nil {
		return nil, ignoreEOF(err)
	}
	begin := int64(binary.LittleEndian.Uint32(at[:]))
	from := bufio.NewReader(io.NewSectionReader(r, begin, max(0, size-begin)))
	var head struct {
		Magic [4]byte
		pe.FileHeader
	}
	if err := binary.Read(from, binary.LittleEndian, &head); err != nil {
		return nil, ignoreEOF(err)
	}
	if string(head.Magic[:]) != "PE\x00\x00" {
		return nil, nil
	}
	if _, err := from.Discard(int(head.SizeOfOptionalHeader)); err != nil {
		return nil, ignoreEOF(err)
	}
	for range head.NumberOfSections {
		var section pe.SectionHeader32
		if err := binary.Read(from, binary.LittleEndian, &section); err != nil {
			return nil, ignoreEOF(err)
		}
		if string(bytes.TrimRight(section.Name[:], "\x00")) == name {
			return &section, nil
		}
	}
	return nil, nil
}

// ignoreEOF returns nil for the end of a file.
func ignoreEOF(err error) error {
	if isEOF(err) {
		return nil
	}
	return err
}

// resolveUnified extracts the kernel of a unified kernel image once; the cache
// knows it by the digest of the whole. What else the image holds (an initramfs, a
// command line) isn't used.
func resolveUnified(ctx context.Context, path string, f *os.File, kernel *io.SectionReader, opt Options) (Kernel, error) {
	sum, err := HashFile(ctx, f)
	if err != nil {
		return Kernel{}, fmt.Errorf("read kernel image %s: %w", path, err)
	}
	return resolveExtracted(ctx, filepath.Join("uki", sum), path, "unified image "+filepath.Base(path), meta{}, opt,
		func(c *Cache, dir string, m *meta) error {
			return c.store(dir, "in "+path, m, func(w io.Writer) error {
				_, err := io.Copy(w, ctxReader{ctx, kernel})
				return err
			})
		})
}
