// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"bytes"
	"compress/gzip"
	"debug/pe"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

const arm64Release = "6.12.117+deb13-cloud-arm64"

// makeARM64Image makes what passes for an arm64 Image: its header, that of an EFI
// program whose section .data ends with the file, and a banner across two pieces of
// what findBanner reads.
func makeARM64Image(release string) []byte {
	b := make([]byte, 2*bannerPiece)
	copy(b, "MZ")
	copy(b[arm64MagicOff:], arm64Magic)
	binary.LittleEndian.PutUint32(b[0x3c:], arm64HeaderEnd)
	var header bytes.Buffer
	header.WriteString("PE\x00\x00")
	_ = binary.Write(&header, binary.LittleEndian, pe.FileHeader{Machine: pe.IMAGE_FILE_MACHINE_ARM64, NumberOfSections: 1})
	_ = binary.Write(&header, binary.LittleEndian, pe.SectionHeader32{Name: [8]byte([]byte(".data\x00\x00\x00")), SizeOfRawData: bannerPiece, PointerToRawData: bannerPiece})
	copy(b[arm64HeaderEnd:], header.Bytes())
	copy(b[4096:], "Linux version %s (%s)\x00")
	copy(b[bannerPiece-20:], "Linux version "+release+" (debian-kernel@lists.debian.org) ")
	return b
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

// makeZboot makes an EFI program that unpacks a kernel.
func makeZboot(kind string, payload []byte) []byte {
	b := make([]byte, 512, 512+len(payload))
	copy(b, "MZ\x00\x00"+zbootMagic)
	binary.LittleEndian.PutUint32(b[zbootPayloadOff:], 512)
	binary.LittleEndian.PutUint32(b[zbootPayloadOff+4:], uint32(len(payload)))
	copy(b[zbootTypeOff:], kind)
	return append(b, payload...)
}

func TestReadARM64Image(t *testing.T) {
	image := makeARM64Image(arm64Release)
	coder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		image   []byte
		problem string
	}{
		{"Image", image, ""},
		{"Image.gz", gzipped(image), ""},
		{"vmlinuz.efi, gzip", makeZboot("gzip", gzipped(image)), ""},
		{"vmlinuz.efi, zstd", makeZboot("zstd22", coder.EncodeAll(image, nil)), ""},
		{"vmlinuz.efi, lzma", makeZboot("lzma", image), `packed by "lzma"`},
		{"vmlinuz.efi cut short", makeZboot("gzip", gzipped(image))[:600], "cut short"},
		{"vmlinuz.efi that is damaged", makeZboot("gzip", []byte("not gzip at all")), "can't be unpacked"},
		{"cut short", image[:len(image)-1], "cut short: 131071 bytes of 131072"},
		{"Image.gz cut short", gzipped(image)[:200], "can't be unpacked"},
		{"no release", makeARM64Image("%s"), "names no kernel version"},
		{"release too long", makeARM64Image(strings.Repeat("6", 65)), "names no kernel version"},
		{"escape in release", makeARM64Image("6.1\x1b[2J"), "names no kernel version"},
	} {
		release, arch, err := readKernelImage(bytes.NewReader(tc.image), int64(len(tc.image)))
		var nk *NotKernelError
		switch {
		case tc.problem == "" && (err != nil || release != arm64Release || arch != "arm64"):
			t.Errorf("%s: %s for %s, %v", tc.name, release, arch, err)
		case tc.problem != "" && (!errors.As(err, &nk) || !strings.Contains(nk.Problem, tc.problem)):
			t.Errorf("%s: %v, want %s", tc.name, err, tc.problem)
		}
	}
}

// TestUnpack: QEMU is given the Image itself, and a bzImage as it is.
func TestUnpack(t *testing.T) {
	arm, x86 := makeARM64Image(arm64Release), makeImage(imageSpec{})
	for name, tc := range map[string]struct{ file, want []byte }{
		"Image": {arm, arm}, "Image.gz": {gzipped(arm), arm}, "vmlinuz.efi": {makeZboot("gzip", gzipped(arm)), arm}, "bzImage": {x86, x86},
	} {
		if got, err := unpackedFile(t, tc.file, true); err != nil || !bytes.Equal(got, tc.want) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// TestResolveArch: the architecture is the image's, and another isn't what was asked for.
func TestResolveArch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Image")
	if err := os.WriteFile(path, makeARM64Image(arm64Release), 0o644); err != nil {
		t.Fatal(err)
	}
	for arch, want := range map[string]string{"": "", "arm64": "", "amd64": "is a kernel for arm64 (--arch says amd64)"} {
		k, err := Resolve(t.Context(), path, Options{Arch: arch})
		if want == "" && (err != nil || k.Arch != "arm64" || k.Release != arm64Release) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %+v, %v", arch, k, err)
		}
	}
}

// TestCacheByArch: kernels of one version are apart, and a release names its own.
func TestCacheByArch(t *testing.T) {
	opt := Options{CacheDir: t.TempDir(), Offline: true}
	cache, err := OpenCache(opt)
	if err != nil {
		t.Fatal(err)
	}
	for dir, image := range map[string][]byte{"6.12.117-1": makeImage(imageSpec{}), "6.12.117-1-arm64": makeARM64Image(arm64Release)} {
		m := meta{Series: "6.12", Version: "6.12.117-1", Package: "p", Suite: "s"}
		err := cache.store(filepath.Join(cache.kernels, "6.12", dir), dir, &m, func(w io.Writer) error { _, err := w.Write(image); return err })
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct{ arch, name, want string }{
		{"amd64", "6.12", "6.12.117+deb13-cloud-amd64"}, {"arm64", "6.12", arm64Release}, {"", arm64Release, arm64Release},
		{"", "6.12.117+deb13-cloud-amd64", "6.12.117+deb13-cloud-amd64"},
	} {
		opt.Arch = tc.arch
		if k, err := Resolve(t.Context(), tc.name, opt); err != nil || k.Release != tc.want || !strings.HasSuffix(k.Release, k.Arch) {
			t.Errorf("%s of %q: %+v, %v", tc.name, tc.arch, k, err)
		}
		list, err := List(t.Context(), opt)
		if err != nil || len(list.Kernels) != 1 || tc.arch != "" && list.Kernels[0].Arch != tc.arch {
			t.Errorf("%q: %+v, %v", tc.arch, list, err)
		}
	}
}
