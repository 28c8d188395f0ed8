// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

type tarEntry struct {
	name string
	body string
	kind byte // 0: regular
}

func makeTar(t testing.TB, entries ...tarEntry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.body)), Typeflag: tar.TypeReg}
		if e.kind != 0 {
			h.Typeflag, h.Size, h.Linkname = e.kind, 0, "elsewhere"
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if e.kind == 0 {
			if _, err := io.WriteString(w, e.body); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func pack(t testing.TB, ext string, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	var w io.WriteCloser
	var err error
	switch ext {
	case "":
		return b
	case ".gz":
		w = gzip.NewWriter(&buf)
	case ".xz":
		w, err = xz.WriterConfig{DictCap: 1 << 20}.NewWriter(&buf)
	case ".zst":
		w, err = zstd.NewWriter(&buf)
	}
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func arMember(name string, body []byte) []byte {
	b := fmt.Appendf(nil, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, 0, 0, 0, "100644", len(body))
	b = append(b, body...)
	if len(body)%2 == 1 {
		b = append(b, '\n')
	}
	return b
}

func makeDeb(t testing.TB, ext string, entries ...tarEntry) []byte {
	t.Helper()
	deb := []byte(arMagic)
	deb = append(deb, arMember("debian-binary", []byte("2.0\n"))...)
	deb = append(deb, arMember("control.tar"+ext, []byte("odd"))...)
	return append(deb, arMember("data.tar"+ext, pack(t, ext, makeTar(t, entries...)))...)
}

func TestCopyDebImage(t *testing.T) {
	const image = "an image"
	boot := tarEntry{name: "./boot/vmlinuz-6.1.0-56-cloud-amd64", body: image}
	filler := tarEntry{name: "./boot/config", body: strings.Repeat("x", 3000)}
	xzDeb := makeDeb(t, ".xz", filler, boot)
	hugeDict := bytes.Clone(xzDeb)
	hugeDict[bytes.Index(hugeDict, []byte("\xfd7zXZ"))+12+4] = 40 // the filter's dictionary: 4 GiB
	broken := bytes.Clone(xzDeb)
	broken[len(broken)-60] ^= 0xff

	for _, tc := range []struct {
		name string
		deb  []byte
		err  string
	}{
		{"xz", xzDeb, ""},
		{"zst", makeDeb(t, ".zst", filler, boot), ""},
		{"gz", makeDeb(t, ".gz", filler, boot), ""},
		{"plain", makeDeb(t, "", filler, boot), ""},
		{"without dot", makeDeb(t, ".xz", tarEntry{name: "boot/vmlinuz-1", body: image}), ""},
		{"under usr", makeDeb(t, ".xz", tarEntry{name: "./usr/lib/modules/7.2.12/vmlinuz", body: image}), ""},
		{"unsigned", makeDeb(t, ".xz", tarEntry{name: "./usr/lib/modules/7.2.12/vmlinuz.unsigned", body: image}), ""},
		{"link before the image", makeDeb(t, ".xz", tarEntry{name: "./boot/vmlinuz-1", kind: tar.TypeSymlink}, boot), ""},
		{"hard link", makeDeb(t, ".xz", tarEntry{name: "./boot/vmlinuz-1", kind: tar.TypeLink}), "holds no kernel image"},
		{"path upward", makeDeb(t, ".xz", tarEntry{name: "../boot/vmlinuz-1", body: image},
			tarEntry{name: "./boot/vmlinuz-../../etc/passwd", body: image}), "holds no kernel image"},
		{"absolute path", makeDeb(t, ".xz", tarEntry{name: "/boot/vmlinuz-1", body: image}), "holds no kernel image"},
		{"no image", makeDeb(t, ".zst", filler), "holds no kernel image"},
		{"unknown compression", append([]byte(arMagic), arMember("data.tar.bz2", []byte("BZh9"))...), "unknown compression"},
		{"no data", append([]byte(arMagic), arMember("debian-binary", []byte("2.0\n"))...), "no data.tar"},
		{"not ar", []byte("!<thin>\nxxxx"), "no ar header"},
		{"empty", nil, "no ar header"},
		{"cut in a header", xzDeb[:len(arMagic)+30], "ar header"},
		{"cut in a member", xzDeb[:len(arMagic)+arHeaderLen+2], "cut short"},
		{"cut in the data", xzDeb[:len(xzDeb)-200], "unexpected EOF"},
		{"broken data", broken, "data.tar.xz"},
		{"huge dictionary", hugeDict, "dictionary of 4096 MiB is too big"},
		{"bad size", append([]byte(arMagic), bytes.Replace(arMember("debian-binary", []byte("2.0\n")), []byte("4         `"), []byte("-4        `"), 1)...), "no size"},
		{"many members", append([]byte(arMagic), bytes.Repeat(arMember("x", nil), arMaxMembers+1)...), "too many members"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			err := copyDebImage(context.Background(), &out, bytes.NewReader(tc.deb))
			switch {
			case tc.err == "" && err != nil:
				t.Error(err)
			case tc.err == "" && out.String() != image:
				t.Errorf("image %q", out.String())
			case tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
				t.Errorf("error %v, want %q in it", err, tc.err)
			}
		})
	}
}

func TestDebBombIsBounded(t *testing.T) {
	zeros := tarEntry{name: "./usr/share/zeros", body: strings.Repeat("\x00", 8<<20)}
	deb := makeDeb(t, ".zst", zeros, tarEntry{name: "./boot/vmlinuz-1", body: "x"})
	if len(deb) > 64<<10 {
		t.Fatalf("a bomb of %d bytes is none", len(deb))
	}
	err := copyDebImageLimit(context.Background(), io.Discard, bytes.NewReader(deb), 1<<20)
	if err == nil || !strings.Contains(err.Error(), "too much data") {
		t.Errorf("error %v", err)
	}
	if err := copyDebImageLimit(context.Background(), io.Discard, bytes.NewReader(deb), 16<<20); err != nil {
		t.Error(err)
	}
}

func TestDebImageTooBig(t *testing.T) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: "./boot/vmlinuz-1", Typeflag: tar.TypeReg, Size: maxKernelImageBytes + 1}); err != nil {
		t.Fatal(err)
	}
	deb := append([]byte(arMagic), arMember("data.tar", buf.Bytes())...)
	err := copyDebImage(context.Background(), io.Discard, bytes.NewReader(deb))
	if err == nil || !strings.Contains(err.Error(), "too big") {
		t.Errorf("error %v", err)
	}
}

func TestCopyDebImageStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	deb := makeDeb(t, ".gz", tarEntry{name: "./boot/vmlinuz-1", body: "x"})
	if err := copyDebImage(ctx, io.Discard, bytes.NewReader(deb)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func FuzzDeb(f *testing.F) {
	boot := tarEntry{name: "./boot/vmlinuz-1", body: "x"}
	for _, ext := range []string{"", ".gz", ".xz", ".zst"} {
		f.Add(makeDeb(f, ext, boot))
	}
	f.Add([]byte(arMagic))
	debug.SetMemoryLimit(768 << 20) // as main does
	f.Fuzz(func(t *testing.T, deb []byte) {
		const limit = 1 << 20
		var out bytes.Buffer
		err := copyDebImageLimit(context.Background(), &out, bytes.NewReader(deb), limit)
		if out.Len() > limit {
			t.Errorf("%d bytes written (%v)", out.Len(), err)
		}
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		if memory.Sys > 1e9 { // the most that there ever was
			t.Errorf("%d bytes take %d MB", len(deb), memory.Sys/1e6)
		}
	})
}
