// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"context"
	"debug/pe"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// linuxSection returns the bzImage in a unified kernel image, which is an EFI
// program with the kernel in its section .linux; nil: the file has none.
func linuxSection(r io.ReaderAt, size int64) (*io.SectionReader, error) {
	f, err := pe.NewFile(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, nil // a file that only begins as one does
	}
	section := f.Section(".linux")
	if section == nil {
		return nil, nil
	}
	// On disk it is padded; before binutils 2.36 objcopy left the true size out.
	n := int64(section.Size)
	if v := int64(section.VirtualSize); v > 0 && v < n {
		n = v
	}
	switch {
	case n > maxKernelImageBytes:
		return nil, &NotKernelError{"", fmt.Sprintf("holds a kernel of %d MiB, which is too big", n>>20), ""}
	case int64(section.Offset)+n > size:
		return nil, &NotKernelError{"", "is cut short: its section .linux ends beyond the file", "copy or build it again"}
	}
	return io.NewSectionReader(r, int64(section.Offset), n), nil
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
