// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// makeUnified puts a kernel into an EFI program as ukify does, its section padded
// to a multiple of 512 bytes. change may alter the section's header.
func makeUnified(kernel []byte, change func(*pe.SectionHeader32)) []byte {
	const header, data = 0x80, 0x400
	padded := (len(kernel) + 511) &^ 511
	sections := []pe.SectionHeader32{
		{Name: [8]byte([]byte(".osrel\x00\x00")), VirtualSize: 4, SizeOfRawData: 16, PointerToRawData: data - 16},
		{Name: [8]byte([]byte(".linux\x00\x00")), VirtualSize: uint32(len(kernel)), SizeOfRawData: uint32(padded), PointerToRawData: data},
	}
	if change != nil {
		change(&sections[1])
	}
	b := make([]byte, header, data+padded)
	copy(b, "MZ")
	binary.LittleEndian.PutUint32(b[0x3c:], header)
	b = append(b, "PE\x00\x00"...)
	w := bytes.NewBuffer(b)
	for _, part := range []any{pe.FileHeader{Machine: pe.IMAGE_FILE_MACHINE_AMD64, NumberOfSections: uint16(len(sections))}, sections} {
		if err := binary.Write(w, binary.LittleEndian, part); err != nil {
			panic(err)
		}
	}
	b = append(w.Bytes(), make([]byte, data-w.Len())...)
	return append(append(b, kernel...), make([]byte, padded-len(kernel))...)
}

// TestResolveUnified: a unified kernel image's own kernel is what boots, to the
// byte, and is extracted once.
func TestResolveUnified(t *testing.T) {
	bzImage := append(makeImage(imageSpec{}), 1, 2, 3) // no multiple of a sector
	path := filepath.Join(t.TempDir(), "linux.efi")
	if err := os.WriteFile(path, makeUnified(bzImage, nil), 0o644); err != nil {
		t.Fatal(err)
	}
	extracted := 0
	opt := Options{CacheDir: t.TempDir(), Offline: true, Progress: func(string) { extracted++ }}
	first, err := Resolve(t.Context(), path, opt)
	if err != nil || first.Release != "6.12.117+deb13-cloud-amd64" || first.Requested != path || first.Source != "unified image linux.efi" {
		t.Fatalf("%+v, %v", first, err)
	}
	got, err := os.ReadFile(first.Path)
	if err != nil || !bytes.Equal(got, bzImage) {
		t.Errorf("%d bytes of the kernel's %d, %v", len(got), len(bzImage), err)
	}
	second, err := Resolve(t.Context(), path, opt)
	if err != nil || second != first || extracted != 1 {
		t.Errorf("%+v, %v, extracted %d times", second, err, extracted)
	}
}

func TestNoUnifiedImage(t *testing.T) {
	bzImage := makeImage(imageSpec{})
	dir := t.TempDir()
	for want, image := range map[string][]byte{
		"is an EFI program without a Linux setup header (a unified kernel image has its bzImage in a section .linux": makeUnified(bzImage, func(h *pe.SectionHeader32) { h.Name[1] = 'L' }),
		"holds a kernel of 1024 MiB, which is too big":                                                               makeUnified(bzImage, func(h *pe.SectionHeader32) { h.VirtualSize, h.SizeOfRawData = 1<<30, 1<<30 }),
		"its section .linux ends beyond the file":                                                                    makeUnified(bzImage, func(h *pe.SectionHeader32) { h.PointerToRawData += 4096 }),
		"in " + dir:                        makeUnified([]byte("no kernel"), nil),
		"is cut short: 3000 bytes of 6656": makeUnified(bzImage, func(h *pe.SectionHeader32) { h.VirtualSize = 3000 }),
	} {
		path := filepath.Join(dir, "linux.efi")
		if err := os.WriteFile(path, image, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Resolve(t.Context(), path, Options{CacheDir: t.TempDir(), Offline: true})
		var nk *NotKernelError
		if !errors.As(err, &nk) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %q", err, want)
		}
	}
}

// TestImageBesideELF: who gives the vmlinux of a build is told where its bzImage
// is, if it is there.
func TestImageBesideELF(t *testing.T) {
	elf := append([]byte("\x7fELF\x02\x01\x01"), append(make([]byte, 11), 62, 0)...)
	image := makeImage(imageSpec{})
	for _, tt := range []struct{ vmlinux, image, hint string }{
		{"vmlinux", "arch/x86/boot/bzImage", "give arch/x86/boot/bzImage"},
		{"tree/vmlinux", "tree/arch/x86/boot/bzImage", "give tree/arch/x86/boot/bzImage"},
		{"tree/arch/x86/boot/compressed/vmlinux", "tree/arch/x86/boot/bzImage", "give tree/arch/x86/boot/bzImage"},
		{"lib/vmlinux-6.12.1", "lib/vmlinuz-6.12.1", "give lib/vmlinuz-6.12.1"},
		{"tree/vmlinux", "elsewhere/bzImage", "give arch/x86/boot/bzImage"},
	} {
		t.Chdir(t.TempDir())
		for name, data := range map[string][]byte{tt.vmlinux: elf, tt.image: image} {
			if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, data, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Resolve(t.Context(), "./"+tt.vmlinux, Options{CacheDir: t.TempDir(), Offline: true})
		var nk *NotKernelError
		if !errors.As(err, &nk) || nk.Hint != tt.hint {
			t.Errorf("%s beside %s: %v", tt.vmlinux, tt.image, err)
		}
	}
	// What is there must be a kernel.
	t.Chdir(t.TempDir())
	for name, data := range map[string][]byte{"vmlinux-1": elf, "vmlinuz-1": []byte("text")} {
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Resolve(t.Context(), "vmlinux-1", Options{CacheDir: t.TempDir(), Offline: true}); err == nil || strings.Contains(err.Error(), "vmlinuz-1") {
		t.Error(err)
	}
}
