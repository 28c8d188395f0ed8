// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mapprof/mapprof/target/machine"
)

// Offsets in the x86 boot protocol's setup header
// (Documentation/arch/x86/boot.rst in the kernel).
const (
	setupSectsOff    = 0x1f1
	bootFlagOff      = 0x1fe
	setupMagicOff    = 0x202
	setupVersionOff  = 0x206
	kernelVersionOff = 0x20e
	loadFlagsOff     = 0x211
	xloadFlagsOff    = 0x236
	payloadOff       = 0x248
	payloadLenOff    = 0x24c
	setupHeaderEnd   = 0x250

	sectorBytes = 512
	// maxKernelImageBytes bounds an image; distributions' are under 20 MiB.
	maxKernelImageBytes = 256 << 20
	// maxReleaseBytes is what uname can hold (__NEW_UTS_LEN).
	maxReleaseBytes = 64
)

// readKernelImage checks that r, of that size, is an image that can be booted, and
// returns its release and architecture. A file that is not one gives a *NotKernelError
// without a path.
func readKernelImage(r io.ReaderAt, size int64) (release, arch string, err error) {
	release, x86err := readBzImage(r, size)
	if x86err == nil {
		return release, "amd64", nil
	}
	if release, ok, err := readARM64Image(r, size); ok {
		return release, "arm64", err
	}
	return "", "", x86err
}

// readBzImage returns the release of an x86-64 bzImage.
func readBzImage(r io.ReaderAt, size int64) (release string, err error) {
	head := make([]byte, min(size, setupHeaderEnd))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if size > maxKernelImageBytes && !bytes.HasPrefix(head, []byte("\x7fELF")) {
		return "", &NotKernelError{"", fmt.Sprintf("is %d MiB, too big for a kernel image", size>>20), ""}
	}
	if len(head) < setupHeaderEnd ||
		binary.LittleEndian.Uint16(head[bootFlagOff:]) != 0xaa55 ||
		string(head[setupMagicOff:setupMagicOff+4]) != "HdrS" {
		return "", notBzImage(head, size)
	}
	le16 := func(off int) int64 { return int64(binary.LittleEndian.Uint16(head[off:])) }
	le32 := func(off int) int64 { return int64(binary.LittleEndian.Uint32(head[off:])) }

	// The 64-bit entry point is announced from protocol 2.12 (Linux 3.8) on.
	if v := le16(setupVersionOff); v < 0x20c {
		return "", &NotKernelError{"", fmt.Sprintf("boot protocol %d.%02d is too old", v>>8, v&0xff), "Linux 5.10 or newer is needed"}
	}
	if head[loadFlagsOff]&1 == 0 {
		return "", &NotKernelError{"", "is a zImage", "give arch/x86/boot/bzImage"}
	}
	if le16(xloadFlagsOff)&1 == 0 {
		return "", &NotKernelError{"", "is a 32-bit x86 kernel", "an x86-64 one is needed"}
	}
	if need := setupEnd(head) + le32(payloadOff) + le32(payloadLenOff); size < need {
		return "", &NotKernelError{"", fmt.Sprintf("is cut short: %d bytes of %d", size, need), "copy or build it again"}
	}
	return readRelease(r, le16(kernelVersionOff)+0x200, setupEnd(head))
}

// setupEnd is where a bzImage's setup code ends, and the rest begins.
func setupEnd(head []byte) int64 {
	sects := int64(head[setupSectsOff])
	if sects == 0 {
		sects = 4
	}
	return (sects + 1) * sectorBytes
}

// Unpack writes the image in f to w, which is empty, as QEMU is given it: of its own,
// some builds unpack none, and none everything. For an emulated machine a bzImage is
// unpacked too, where its kernel can be booted that way: its own code would take a
// second for it. Nothing then moves the kernel about in memory (KASLR).
func Unpack(w, f *os.File, emulated bool) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if emulated {
		if ok, err := unpackVmlinux(w, f, st.Size()); ok || err != nil {
			return err
		}
	}
	image, done, err := unpackedImage(f, st.Size())
	if err != nil {
		return namedImage(err, f.Name())
	}
	defer done()
	_, err = io.Copy(w, image)
	return err
}

// readRelease reads the version banner at off, which must lie in the setup
// code, and returns its first word.
func readRelease(r io.ReaderAt, off, setupEnd int64) (string, error) {
	if off == 0x200 || off >= setupEnd {
		return "", &NotKernelError{"", "names no kernel version", "is it a Linux bzImage?"}
	}
	banner := make([]byte, min(maxReleaseBytes+1, setupEnd-off))
	if _, err := r.ReadAt(banner, off); err != nil {
		return "", err
	}
	end := bytes.IndexAny(banner, " \x00")
	if end <= 0 || !PlainName(string(banner[:end])) {
		return "", &NotKernelError{"", "has a malformed kernel version", "is it a Linux bzImage?"}
	}
	return string(banner[:end]), nil
}

// PlainName reports whether s is fit to be shown and to be part of a file
// name: letters, digits and . _ + ~ -, not starting with a dot or a dash.
func PlainName(s string) bool {
	for i, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '_', c == '+', c == '~':
		case (c == '.' || c == '-') && i > 0:
		default:
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// notBzImage says what the file is instead, as far as its start tells.
func notBzImage(head []byte, size int64) *NotKernelError {
	has := func(off int, magic string) bool {
		return len(head) >= off+len(magic) && string(head[off:off+len(magic)]) == magic
	}
	const known = "only x86-64 and arm64 kernels can be booted"
	switch {
	case size == 0:
		return &NotKernelError{"", "is empty", ""}
	case has(0, "\x7fELF") && len(head) >= 20:
		for _, m := range machine.All() {
			if elf.Machine(binary.LittleEndian.Uint16(head[18:])) == m.ELF {
				return &NotKernelError{"", "is an uncompressed ELF vmlinux or program", "give " + m.Image}
			}
		}
		return &NotKernelError{"", "is an ELF file for another machine than x86-64 and arm64", known}
	case has(0x30, "RISCV") || has(0x38, "RSC\x05"):
		return &NotKernelError{"", "is a RISC-V kernel", known}
	case has(0, "MZ") && has(4, "zimg"):
		return &NotKernelError{"", "is an EFI program with a packed kernel for another machine than arm64", known}
	case has(0, "MZ"):
		return &NotKernelError{"", "is an EFI program without a Linux setup header",
			"a unified kernel image has its bzImage in a section .linux, and this file has none"}
	case has(0, "\x1f\x8b"), has(0, "\xfd7zXZ"), has(0, "\x28\xb5\x2f\xfd"):
		return &NotKernelError{"", "is a compressed file, and no arm64 Image", "unpack it, or give arch/x86/boot/bzImage"}
	case has(0, "\xed\xab\xee\xdb"):
		return &NotKernelError{"", "is an RPM package", "unpack it and give its vmlinuz"}
	}
	return &NotKernelError{"", "is no kernel image of x86-64 or arm64", "give a series such as 6.12, a bzImage or a .deb"}
}

// HashFile returns the SHA-256 of the whole of f, in hexadecimal.
func HashFile(ctx context.Context, f io.ReadSeeker) (string, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	h := sha256.New()
	if _, err := io.Copy(h, ctxReader{ctx, f}); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// ctxReader stops reading when its context ends.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
