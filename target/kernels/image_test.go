// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"testing"
)

// imageSpec describes a made-up bzImage; zero fields get sound values.
type imageSpec struct {
	banner     string
	versionPtr uint16
	protocol   uint16
	loadflags  byte
	xloadflags uint16
	payloadLen uint32
}

// makeImage builds four setup sectors, the banner in the third, and a
// payload of 4 KiB.
func makeImage(s imageSpec) []byte {
	const setup = 5 * sectorBytes
	b := make([]byte, setup+4096)
	put16 := func(off int, v uint16) { binary.LittleEndian.PutUint16(b[off:], v) }
	b[setupSectsOff] = 4
	put16(bootFlagOff, 0xaa55)
	copy(b[setupMagicOff:], "HdrS")
	if s.protocol == 0 {
		s.protocol = 0x20f
	}
	put16(setupVersionOff, s.protocol)
	if s.versionPtr == 0 {
		s.versionPtr = 0x400
	}
	put16(kernelVersionOff, s.versionPtr)
	b[loadFlagsOff] = s.loadflags | 1
	if s.loadflags == 0xff {
		b[loadFlagsOff] = 0
	}
	put16(xloadFlagsOff, s.xloadflags|1)
	if s.xloadflags == 0xffff {
		put16(xloadFlagsOff, 0)
	}
	if s.payloadLen == 0 {
		s.payloadLen = 4096
	}
	binary.LittleEndian.PutUint32(b[payloadLenOff:], s.payloadLen)
	if s.banner == "" {
		s.banner = "6.12.117+deb13-cloud-amd64 (debian-kernel@lists.debian.org) #1 SMP"
	}
	copy(b[0x600:], s.banner)
	return b
}

func TestReadKernelImage(t *testing.T) {
	elf := func(machine byte) []byte {
		b := make([]byte, 4096)
		copy(b, "\x7fELF\x02\x01\x01")
		b[18] = machine
		return b
	}
	at := func(off int, magic string) []byte {
		b := make([]byte, 4096)
		copy(b, "MZ")
		copy(b[off:], magic)
		return b
	}
	for _, tc := range []struct {
		name    string
		image   []byte
		release string
		problem string // of the error
	}{
		{"sound", makeImage(imageSpec{}), "6.12.117+deb13-cloud-amd64", ""},
		{"release alone", makeImage(imageSpec{banner: "7.3.0-rc1-dirty\x00rest"}), "7.3.0-rc1-dirty", ""},
		{"longest release", makeImage(imageSpec{banner: strings.Repeat("6", 64) + " x"}), strings.Repeat("6", 64), ""},
		{"release too long", makeImage(imageSpec{banner: strings.Repeat("6", 65) + " x"}), "", "malformed kernel version"},
		{"escape in release", makeImage(imageSpec{banner: "6.1\x1b[2J x"}), "", "malformed kernel version"},
		{"path in release", makeImage(imageSpec{banner: "../../etc x"}), "", "malformed kernel version"},
		{"no release", makeImage(imageSpec{banner: " x"}), "", "malformed kernel version"},
		{"version pointer out of the setup code", makeImage(imageSpec{versionPtr: 0xffff}), "", "names no kernel version"},
		{"release at the end of the setup code", append(makeImage(imageSpec{versionPtr: 5*sectorBytes - 0x200 - 3})[:5*sectorBytes-3],
			append([]byte("6.1"), make([]byte, 4096)...)...), "", "malformed kernel version"},
		{"old protocol", makeImage(imageSpec{protocol: 0x204}), "", "boot protocol 2.04 is too old"},
		{"zImage", makeImage(imageSpec{loadflags: 0xff}), "", "is a zImage"},
		{"32 bits", makeImage(imageSpec{xloadflags: 0xffff}), "", "32-bit"},
		{"cut short", makeImage(imageSpec{})[:5*sectorBytes+100], "", "cut short: 2660 bytes of 6656"},
		{"payload beyond 4 GiB", makeImage(imageSpec{payloadLen: 0xffffffff}), "", "cut short"},
		{"cut in the header", makeImage(imageSpec{})[:0x220], "", "no kernel image of x86-64 or arm64"},
		{"empty", nil, "", "is empty"},
		{"text", []byte("#!/bin/sh\n"), "", "no kernel image of x86-64 or arm64"},
		{"vmlinux", elf(62), "", "uncompressed ELF vmlinux"},
		{"arm64 vmlinux", elf(183), "", "uncompressed ELF vmlinux"},
		{"RISC-V ELF", elf(243), "", "another machine"},
		{"arm64 Image without a banner", at(0x38, "ARM\x64"), "", "names no kernel version"},
		{"RISC-V Image", at(0x38, "RSC\x05"), "", "RISC-V"},
		{"EFI zboot of another", makeZboot("gzip", gzipped(make([]byte, 4096))), "", "another machine than arm64"},
		{"other EFI", at(0, "MZ"), "", "EFI program"},
		{"gzip", []byte("\x1f\x8b\x08\x00"), "", "compressed file"},
		{"RPM", []byte("\xed\xab\xee\xdb\x03"), "", "RPM"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			release, _, err := readKernelImage(bytes.NewReader(tc.image), int64(len(tc.image)))
			if release != tc.release {
				t.Errorf("release %q, want %q", release, tc.release)
			}
			var nk *NotKernelError
			switch {
			case tc.problem == "" && err != nil:
				t.Error(err)
			case tc.problem != "" && !errors.As(err, &nk):
				t.Errorf("error %v, want *NotKernelError", err)
			case tc.problem != "" && !strings.Contains(nk.Problem, tc.problem):
				t.Errorf("problem %q, want %q in it", nk.Problem, tc.problem)
			}
		})
	}
}

func FuzzBzImage(f *testing.F) {
	whole := makeImage(imageSpec{})
	f.Add(whole)
	f.Add(whole[:setupHeaderEnd])
	f.Add(makeImage(imageSpec{versionPtr: 0x7fe}))
	f.Add([]byte("\x7fELF"))
	f.Add(makeUnified(whole[:setupHeaderEnd], nil))
	f.Add(makeARM64Image(arm64Release)[:8192])
	f.Add(gzipped(makeARM64Image(arm64Release)))
	f.Add(makeZboot("zstd22", []byte("\x28\xb5\x2f\xfd")))
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		release, _, err := readKernelImage(bytes.NewReader(b), int64(len(b)))
		if err == nil && (!PlainName(release) || len(release) > maxReleaseBytes) {
			t.Errorf("accepted release %q", release)
		}
		if kernel, err := linuxSection(bytes.NewReader(b), int64(len(b))); kernel != nil && (err != nil || kernel.Size() > int64(len(b))) {
			t.Errorf("a section of %d bytes in %d, %v", kernel.Size(), len(b), err)
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > uint64(1<<20+10*len(b)) {
			t.Errorf("%d bytes take %d in memory", len(b), got)
		}
	})
}
