// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"os"

	"github.com/pierrec/lz4/v4"
)

const (
	// xenNotePhys32Entry is the type of the note, named "Xen", that says where a
	// vmlinux begins under the PVH boot protocol (Documentation/arch/x86/boot.rst;
	// include/xen/interface/elfnote.h, XEN_ELFNOTE_PHYS32_ENTRY).
	xenNotePhys32Entry = 18
	// maxNoteBytes bounds a vmlinux's notes; Debian's have 500 bytes.
	maxNoteBytes = 64 << 10
)

// unpackVmlinux writes to w the vmlinux that a bzImage carries, and reports whether it
// can be booted as it is, by its PVH entry. Where it can't, or the image isn't one, or
// is packed in a way that isn't known here, w is empty: the image unpacks itself.
func unpackVmlinux(w *os.File, r io.ReaderAt, size int64) (ok bool, err error) {
	defer func() {
		if !ok && err == nil {
			if err = w.Truncate(0); err == nil {
				_, err = w.Seek(0, io.SeekStart)
			}
		}
	}()
	if _, err := readBzImage(r, size); err != nil {
		return false, nil
	}
	head := make([]byte, setupHeaderEnd)
	if _, err := r.ReadAt(head, 0); err != nil {
		return false, err
	}
	le32 := func(off int) int64 { return int64(binary.LittleEndian.Uint32(head[off:])) }
	begin, n := setupEnd(head)+le32(payloadOff), le32(payloadLenOff)
	packed, done := packedVmlinux(r, begin, n)
	if packed == nil {
		return false, nil
	}
	defer done()
	// What can't be unpacked here, the image's own code may, or say why not.
	if _, err := io.Copy(w, &boundedReader{r: packed, left: maxKernelImageBytes}); err != nil {
		return false, nil
	}
	return hasPVHEntry(w), nil
}

// packedVmlinux reads the payload of a bzImage, n bytes from begin; nil: it is packed
// in a way that isn't known here. Its last four bytes are its unpacked size
// (scripts/Makefile.lib, size_append).
func packedVmlinux(r io.ReaderAt, begin, n int64) (out io.Reader, done func()) {
	var magic [4]byte
	if _, err := r.ReadAt(magic[:], begin); err != nil || n < 8 {
		return nil, nil
	}
	payload := io.NewSectionReader(r, begin, n-4)
	var suffix string
	switch {
	case bytes.Equal(magic[:], []byte("\x28\xb5\x2f\xfd")):
		suffix = ".zst"
	case bytes.HasPrefix(magic[:], []byte("\x1f\x8b")):
		suffix = ".gz"
	case bytes.Equal(magic[:], []byte("\x02\x21\x4c\x18")): // LZ4's first format
		return lz4.NewReader(payload), func() {}
	default:
		return nil, nil
	}
	out, done, err := decompress(suffix, payload)
	if err != nil {
		return nil, nil
	}
	return out, done
}

// hasPVHEntry tells whether r is an x86-64 kernel that says where it begins under the
// PVH boot protocol.
func hasPVHEntry(r io.ReaderAt) bool {
	f, err := elf.NewFile(r)
	if err != nil || f.Machine != elf.EM_X86_64 || f.Type != elf.ET_EXEC {
		return false
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE || p.Filesz > maxNoteBytes {
			continue
		}
		notes := make([]byte, p.Filesz)
		if _, err := p.ReadAt(notes, 0); err != nil {
			return false
		}
		for len(notes) >= 12 {
			le := binary.LittleEndian
			name, desc, kind := uint64(le.Uint32(notes)), uint64(le.Uint32(notes[4:])), le.Uint32(notes[8:])
			end := 12 + (name+3)&^3 + (desc+3)&^3
			if end > uint64(len(notes)) {
				break
			}
			if kind == xenNotePhys32Entry && string(notes[12:12+name]) == "Xen\x00" {
				return true
			}
			notes = notes[end:]
		}
	}
	return false
}
