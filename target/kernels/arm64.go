// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// An arm64 Image (Documentation/arch/arm64/booting.rst in the kernel) begins with a
// header of 64 bytes and names its release nowhere but in its banner. It comes as it
// is, gzipped (Image.gz), or as the payload of an EFI program that unpacks it
// (vmlinuz.efi, CONFIG_EFI_ZBOOT, from 6.1).
const (
	arm64MagicOff   = 0x38
	arm64Magic      = "ARM\x64"
	arm64HeaderEnd  = 0x40
	zbootMagicOff   = 4
	zbootMagic      = "zimg"
	zbootPayloadOff = 8
	zbootTypeOff    = 0x18
	zbootTypeEnd    = 0x38
)

// zbootSuffixes are the compressions of EFI programs, as decompress knows them.
var zbootSuffixes = map[string]string{"gzip": ".gz", "zstd22": ".zst", "zstd": ".zst", "xzkern": ".xz"}

// unpackedImage reads what is in an image that is packed, and others as they are.
func unpackedImage(r io.ReaderAt, size int64) (out io.Reader, done func(), err error) {
	done = func() {}
	head := make([]byte, min(size, arm64HeaderEnd))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, done, err
	}
	whole := io.NewSectionReader(r, 0, size)
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		out, done, err = decompress(".gz", whole)
	case len(head) == arm64HeaderEnd && bytes.HasPrefix(head, []byte("MZ")) && string(head[zbootMagicOff:zbootPayloadOff]) == zbootMagic:
		begin, n := int64(binary.LittleEndian.Uint32(head[zbootPayloadOff:])), int64(binary.LittleEndian.Uint32(head[zbootPayloadOff+4:]))
		kind, _, _ := bytes.Cut(head[zbootTypeOff:zbootTypeEnd], []byte{0})
		suffix, ok := zbootSuffixes[string(kind)]
		switch {
		case !ok:
			return nil, done, &NotKernelError{"", fmt.Sprintf("is an EFI program whose kernel is packed by %q", kind), "gzip, zstd and xz are known; give arch/arm64/boot/Image"}
		case begin+n > size:
			return nil, done, &NotKernelError{"", fmt.Sprintf("is cut short: %d bytes of %d", size, begin+n), "copy or build it again"}
		}
		out, done, err = decompress(suffix, io.NewSectionReader(r, begin, n))
	default:
		return whole, done, nil
	}
	if err != nil {
		return nil, func() {}, &NotKernelError{"", fmt.Sprintf("is a compressed file that can't be unpacked: %v", err), "copy or build it again"}
	}
	return &boundedReader{r: out, left: maxKernelImageBytes}, done, nil
}

// readARM64Image returns the release of an arm64 Image, however it is packed; ok is
// false for what is none.
func readARM64Image(r io.ReaderAt, size int64) (release string, ok bool, err error) {
	image, done, err := unpackedImage(r, size)
	defer done()
	var known *NotKernelError
	if err != nil {
		return "", errors.As(err, &known), err
	}
	head := make([]byte, 4096)
	n, err := io.ReadFull(image, head)
	head = head[:n]
	if n < arm64HeaderEnd || string(head[arm64MagicOff:arm64HeaderEnd-4]) != arm64Magic {
		return "", false, nil
	}
	if err != nil && !isEOF(err) {
		return "", true, err
	}
	release, total, err := findBanner(io.MultiReader(bytes.NewReader(head), image))
	if err != nil {
		return "", true, &NotKernelError{"", fmt.Sprintf("can't be unpacked: %v", err), "copy or build it again"}
	}
	data, err := peSection(bytes.NewReader(head), int64(len(head)), ".data")
	if err == nil && data != nil {
		if end := int64(data.PointerToRawData) + int64(data.SizeOfRawData); end > total {
			return "", true, &NotKernelError{"", fmt.Sprintf("is cut short: %d bytes of %d", total, end), "copy or build it again"}
		}
	}
	if release == "" {
		return "", true, &NotKernelError{"", "names no kernel version", "is it a Linux Image?"}
	}
	return release, true, nil
}

// bannerPiece is how much findBanner reads at once.
const bannerPiece = 64 << 10

// findBanner reads to the end, and returns the release that the kernel's banner names
// and how many bytes there were.
func findBanner(r io.Reader) (release string, total int64, err error) {
	const before = "Linux version "
	buf := make([]byte, 0, bannerPiece+256)
	for {
		n, err := r.Read(buf[len(buf) : len(buf)+bannerPiece])
		buf, total = buf[:len(buf)+n], total+int64(n)
		for rest := buf; release == ""; {
			_, after, ok := bytes.Cut(rest, []byte(before))
			if !ok {
				break
			}
			if end := bytes.IndexByte(after[:min(len(after), maxReleaseBytes+1)], ' '); end > 0 && isDigit(after[0]) && PlainName(string(after[:end])) {
				release = string(after[:end])
			}
			rest = after
		}
		switch {
		case errors.Is(err, io.EOF):
			return release, total, nil
		case err != nil:
			return "", total, err
		}
		kept := buf[max(0, len(buf)-128):] // a banner may lie across
		buf = buf[:copy(buf, kept)]
	}
}
