// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// makeModule is an object with nothing but a .modinfo.
func makeModule(t *testing.T, depends string) string {
	t.Helper()
	info := []byte("license=GPL\x00depends=" + depends + "\x00name=x\x00")
	names := []byte("\x00.modinfo\x00.shstrtab\x00")
	head := elf.Header64{Ident: [16]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: 1,
		Shoff: uint64(64 + len(info) + len(names)), Ehsize: 64, Shentsize: 64, Shnum: 3, Shstrndx: 2}
	sections := []elf.Section64{{},
		{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: 64, Size: uint64(len(info))},
		{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: uint64(64 + len(info)), Size: uint64(len(names))}}
	var b bytes.Buffer
	for _, part := range []any{head, info, names, sections} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// TestModules: of a package's modules those that are asked for are taken with all that
// they depend on, each after that, once; what is built in is not. The second time they
// come from the cache.
func TestModules(t *testing.T) {
	const release = "6.12.9-cloud-amd64"
	file := func(name, depends, suffix string) tarEntry {
		return tarEntry{name: "./lib/modules/" + release + "/kernel/drivers/net/" + name + ".ko" + suffix, body: string(pack(t, suffix, []byte(makeModule(t, depends))))}
	}
	deb := filepath.Join(t.TempDir(), "linux.deb")
	if err := os.WriteFile(deb, makeDeb(t, ".xz",
		tarEntry{name: "./boot/vmlinuz-" + release, body: string(makeImage(imageSpec{banner: release + " (x)"}))},
		file("veth", "", ".xz"), file("a-b", "veth,lower", ".xz"), file("lower", "veth,crc32", ".zst"), file("odd", "missing", ""),
		tarEntry{name: "./lib/modules/" + release + "/kernel/broken.ko", body: "ELF?"},
		tarEntry{name: "./lib/modules/" + release + "/modules.builtin", body: "kernel/lib/crc32.ko\n"},
		tarEntry{name: "./lib/modules/" + release + "/kernel/../../../escape.ko", body: "x"}), 0o644); err != nil {
		t.Fatal(err)
	}
	opt := Options{CacheDir: t.TempDir(), Offline: true}
	k, err := Resolve(t.Context(), deb, opt)
	if err != nil {
		t.Fatal(err)
	}
	names := func(modules []Module) (list []string) {
		for _, m := range modules {
			if !strings.HasPrefix(string(m.Data), "\x7fELF") {
				t.Errorf("%s is not unpacked", m.Name)
			}
			list = append(list, m.Name)
		}
		return list
	}
	for range 2 {
		modules, err := Modules(t.Context(), k, []string{"a_b", "veth", "crc32"}, opt)
		if got := names(modules); err != nil || !slices.Equal(got, []string{"veth", "lower", "a_b"}) {
			t.Errorf("%q, %v", got, err)
		}
		if err := os.Remove(deb); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"nothere": "module nothere: kernel " + release + " has no such module",
		"odd":     "module missing: kernel " + release + " has no such module",
		"broken":  "module broken: kernel " + release + " has a damaged one",
	} {
		_, err := Modules(t.Context(), k, []string{name}, opt)
		var problem *ModuleError
		if !errors.As(err, &problem) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if none, err := Modules(t.Context(), k, nil, opt); err != nil || none != nil {
		t.Errorf("%v, %v", none, err)
	}
}

// TestModulesAbsent: an image that is a file has this machine's modules or none, and the
// network is not used offline.
func TestModulesAbsent(t *testing.T) {
	image := filepath.Join(t.TempDir(), "bzImage")
	if err := os.WriteFile(image, makeImage(imageSpec{banner: "6.99.1-none (x)"}), 0o644); err != nil {
		t.Fatal(err)
	}
	opt := Options{Arch: "amd64", CacheDir: t.TempDir(), Offline: true}
	k, err := Resolve(t.Context(), image, opt)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Modules(t.Context(), k, []string{"veth"}, opt)
	var alone *AloneError
	var problem *ModuleError
	if !errors.As(err, &alone) || !errors.As(err, &problem) || !strings.Contains(err.Error(), "no /lib/modules/6.99.1-none") {
		t.Error(err)
	}
	cacheKernel(t, opt.CacheDir, "6.12.9-1", "6.12.9-cloud-amd64")
	if k, err = Resolve(t.Context(), "6.12", opt); err != nil {
		t.Fatal(err)
	}
	if _, err := Modules(t.Context(), k, []string{"veth"}, opt); err == nil || !strings.Contains(err.Error(), "not in the cache") {
		t.Error(err)
	}
}
