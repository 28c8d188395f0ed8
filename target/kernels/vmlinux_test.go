// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// makeVmlinux makes an ELF program of some size with one note.
func makeVmlinux(machine elf.Machine, owner string, kind uint32) []byte {
	note := binary.LittleEndian.AppendUint32(nil, uint32(len(owner)))
	note = binary.LittleEndian.AppendUint32(note, 8)
	note = binary.LittleEndian.AppendUint32(note, kind)
	note = append(note, owner...)
	for len(note)%4 != 0 {
		note = append(note, 0)
	}
	note = binary.LittleEndian.AppendUint64(note, 0x1000000)
	var b bytes.Buffer
	head := elf.Header64{Ident: [16]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, Type: uint16(elf.ET_EXEC), Machine: uint16(machine),
		Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1}
	_ = binary.Write(&b, binary.LittleEndian, head)
	_ = binary.Write(&b, binary.LittleEndian, elf.Prog64{Type: uint32(elf.PT_NOTE), Off: 120, Filesz: uint64(len(note)), Align: 4})
	b.Write(note)
	b.Write(bytes.Repeat([]byte("code"), 10_000))
	return b.Bytes()
}

// makePacked makes a bzImage around a payload, and the size that stands behind it.
func makePacked(payload []byte, unpacked int) []byte {
	payload = binary.LittleEndian.AppendUint32(payload, uint32(unpacked))
	image := makeImage(imageSpec{payloadLen: uint32(len(payload))})
	return append(image[:5*sectorBytes], payload...)
}

func packed(t *testing.T, data []byte, how string) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch how {
	case "gzip":
		return gzipped(data)
	case "zstd":
		w, err = zstd.NewWriter(&b)
	case "lz4":
		l := lz4.NewWriter(&b)
		err = l.Apply(lz4.LegacyOption(true))
		w = l
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unpackedFile is what Unpack writes for a file of these bytes.
func unpackedFile(t *testing.T, data []byte, emulated bool) ([]byte, error) {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := os.WriteFile(in, data, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(Unpack(w, f, emulated), w.Close()); err != nil {
		return nil, err
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return got, nil
}

// TestUnpackVmlinux: an emulated machine is given the vmlinux in a bzImage where it can
// be booted as it is, and else the image, with nothing of what was tried before it.
func TestUnpackVmlinux(t *testing.T) {
	pvh := makeVmlinux(elf.EM_X86_64, "Xen\x00", xenNotePhys32Entry)
	for how := range map[string]bool{"gzip": true, "zstd": true, "lz4": true} {
		image := makePacked(packed(t, pvh, how), len(pvh))
		if got, err := unpackedFile(t, image, true); err != nil || !bytes.Equal(got, pvh) {
			t.Errorf("%s: %d bytes, %v, want the %d of vmlinux", how, len(got), err, len(pvh))
		}
		if got, err := unpackedFile(t, image, false); err != nil || !bytes.Equal(got, image) {
			t.Errorf("%s, not emulated: %d bytes, %v, want the image", how, len(got), err)
		}
	}
	for name, image := range map[string][]byte{
		"no PVH entry":          makePacked(packed(t, makeVmlinux(elf.EM_X86_64, "Xen\x00", 17), "zstd"), 1),
		"another's note":        makePacked(packed(t, makeVmlinux(elf.EM_X86_64, "GNU\x00", xenNotePhys32Entry), "zstd"), 1),
		"another machine":       makePacked(packed(t, makeVmlinux(elf.EM_386, "Xen\x00", xenNotePhys32Entry), "zstd"), 1),
		"no ELF":                makePacked(packed(t, bytes.Repeat([]byte("x"), 1000), "lz4"), 1000),
		"damaged":               makePacked([]byte("\x28\xb5\x2f\xfd damaged"), 1),
		"cut short":             makePacked(packed(t, pvh, "zstd")[:60], len(pvh)),
		"packed by another":     makePacked([]byte("BZh91AY&SY and so on"), 1),
		"a note of a huge size": makePacked(packed(t, hugeNote(pvh), "zstd"), len(pvh)),
	} {
		if got, err := unpackedFile(t, image, true); err != nil || !bytes.Equal(got, image) {
			t.Errorf("%s: %d bytes, %v, want the image's %d", name, len(got), err, len(image))
		}
	}
}

func hugeNote(vmlinux []byte) []byte {
	b := bytes.Clone(vmlinux)
	binary.LittleEndian.PutUint32(b[120:], 0xffffffff)
	return b
}
