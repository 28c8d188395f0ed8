// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// cacheKernel puts a kernel into a cache the way Fetch does, out of a
// made-up package.
func cacheKernel(t *testing.T, cacheDir, version, release string) string {
	t.Helper()
	c, err := OpenCache(Options{CacheDir: cacheDir})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(c.kernels, SeriesOf(version), version)
	m := meta{Series: SeriesOf(version), Version: version, Package: "linux-image-" + release, Suite: "trixie"}
	if err := c.storeDeb(context.Background(), dir, writeDeb(t, release), &m); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, kernelImageName)
}

func writeDeb(t *testing.T, release string) string {
	t.Helper()
	image := makeImage(imageSpec{banner: release + " (x)"})
	deb := filepath.Join(t.TempDir(), "linux-image.deb")
	b := makeDeb(t, ".xz", tarEntry{name: "./boot/vmlinuz-" + release, body: string(image)})
	if err := os.WriteFile(deb, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return deb
}

func TestResolveOffline(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("PATH", t.TempDir()) // nothing to fetch with
	t.Setenv("MAPPROF_CACHE", cache)
	cacheKernel(t, cache, "6.12.90-1", "6.12.90+deb13-cloud-amd64")
	cacheKernel(t, cache, "6.12.117-1~deb12u1", "6.12.117+deb12-cloud-amd64")
	cacheKernel(t, cache, "6.1.192-2", "6.1.0-56-cloud-amd64")

	for _, offline := range []bool{true, false} {
		for name, release := range map[string]string{
			"6.12":                      "6.12.117+deb12-cloud-amd64",
			"6.12.90":                   "6.12.90+deb13-cloud-amd64",
			"6.1":                       "6.1.0-56-cloud-amd64",
			"6.1.192":                   "6.1.0-56-cloud-amd64",
			"6.1.192-2":                 "6.1.0-56-cloud-amd64",
			"6.1.0-56-cloud-amd64":      "6.1.0-56-cloud-amd64",
			"6.12.90+deb13-cloud-amd64": "6.12.90+deb13-cloud-amd64",
		} {
			k, err := Resolve(context.Background(), name, Options{Arch: "amd64", Offline: offline})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if k.Release != release || k.Requested != name || len(k.SHA256) != 64 || !strings.HasPrefix(k.Path, cache) ||
				!strings.HasPrefix(k.Source, "Debian trixie, linux-image-") {
				t.Errorf("%s: %+v", name, k)
			}
		}
	}
	_, err := Resolve(context.Background(), "7.2", Options{Arch: "amd64", Offline: true})
	var ue *UnknownError
	if !errors.As(err, &ue) || !strings.Contains(err.Error(), "cached: 6.1, 6.12;") {
		t.Errorf("error %v", err)
	}

	list, err := List(context.Background(), Options{Arch: "amd64", Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range list.Kernels {
		mark := ""
		if e.Newest {
			mark = "*"
		}
		got = append(got, e.Version+mark)
	}
	if s := strings.Join(got, " "); s != "6.1.192-2* 6.12.90-1 6.12.117-1~deb12u1*" {
		t.Errorf("list %s", s)
	}
}

func TestDamagedImageIsNotUsed(t *testing.T) {
	cache := t.TempDir()
	image := cacheKernel(t, cache, "6.12.117-1", "6.12.117-cloud-amd64")
	cacheKernel(t, cache, "6.12.90-1", "6.12.90-cloud-amd64")
	if err := os.Truncate(image, 3000); err != nil {
		t.Fatal(err)
	}
	var said []string
	opt := Options{CacheDir: cache, Arch: "amd64", Offline: true, Progress: func(s string) { said = append(said, s) }}
	k, err := Resolve(context.Background(), "6.12", opt)
	if err != nil || k.Release != "6.12.90-cloud-amd64" {
		t.Errorf("%+v, %v", k, err)
	}
	if len(said) != 1 || !strings.Contains(said[0], "damaged") {
		t.Errorf("said %q", said)
	}
}

func TestStrangeMetadataIsSkipped(t *testing.T) {
	cache := t.TempDir()
	for name, text := range map[string]string{
		"not JSON":        "{",
		"empty":           "{}",
		"other series":    `{"series": "6.1", "version": "6.12.1-1", "release": "6.12.1"}`,
		"strange release": `{"series": "6.1", "version": "6.1.1-1", "release": "../../x"}`,
	} {
		dir := filepath.Join(cache, "kernels", "6.1", "6.1.1-"+strings.ReplaceAll(name, " ", ""))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, kernelMetaName), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	list, err := List(context.Background(), Options{CacheDir: cache, Arch: "amd64", Offline: true})
	if err != nil || len(list.Kernels) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestResolveFile(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	opt := Options{CacheDir: filepath.Join(dir, "cache"), Offline: true}
	write := func(name string, b []byte) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	image := makeImage(imageSpec{})
	write("bzImage", image)
	write("6.12", image)
	write("6.12-mine", image)
	write("tree/arch/x86/boot/bzImage", image)
	write("vmlinux", append([]byte("\x7fELF\x02\x01\x01"), append(make([]byte, 11), 62, 0)...))
	write("bad.deb", []byte(arMagic))
	notImage := makeDeb(t, ".gz", tarEntry{name: "boot/vmlinuz-1", body: "text"})
	write("text.deb", notImage)

	for _, arg := range []string{"bzImage", "./6.12", "6.12-mine", filepath.Join(dir, "bzImage")} {
		k, err := Resolve(context.Background(), arg, opt)
		if err != nil || k.Release != "6.12.117+deb13-cloud-amd64" || !filepath.IsAbs(k.Path) || k.Requested != arg {
			t.Errorf("%s: %+v, %v", arg, k, err)
		}
	}
	for arg, want := range map[string]string{
		"6.12":     `resolve kernel "6.12": not in the cache (cached: none; mapprof kernels fetch gets others when there is a network)`,
		"":         "read kernel image \"\": an empty name (give a series such as 6.12, a bzImage or a .deb)",
		"nothing":  "read kernel image nothing: no such file (give a series such as 6.12, a bzImage or a .deb)",
		"tree":     "read kernel image tree: is a directory (give tree/arch/x86/boot/bzImage)",
		"vmlinux":  "read kernel image vmlinux: is an uncompressed ELF vmlinux or program (give arch/x86/boot/bzImage)",
		"bad.deb":  "read package bad.deb: not a Debian package (no data.tar in it)",
		"text.deb": "read kernel image in text.deb: is no kernel image of x86-64 or arm64 (give a series such as 6.12, a bzImage or a .deb)",
		os.DevNull: "read kernel image /dev/null: is not a regular file",
	} {
		_, err := Resolve(context.Background(), arg, opt)
		if err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", arg, err, want)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "cache", "kernels", "*", kernelTmpPrefix+"*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestResolveDeb(t *testing.T) {
	deb := writeDeb(t, "6.99.0-mine")
	opt := Options{CacheDir: t.TempDir(), Offline: true}
	extracted := 0
	opt.Progress = func(string) { extracted++ }
	first, err := Resolve(context.Background(), deb, opt)
	if err != nil || first.Release != "6.99.0-mine" || first.Requested != deb || first.Source != "package linux-image.deb" {
		t.Fatalf("%+v, %v", first, err)
	}
	second, err := Resolve(context.Background(), deb, opt)
	if err != nil || second != first || extracted != 1 {
		t.Errorf("%+v, %v, extracted %d times", second, err, extracted)
	}
	if err := os.Truncate(first.Path, 10); err != nil {
		t.Fatal(err)
	}
	third, err := Resolve(context.Background(), deb, opt)
	if err != nil || third != first || extracted != 2 {
		t.Errorf("%+v, %v, extracted %d times", third, err, extracted)
	}
}

func TestCacheLock(t *testing.T) {
	waiting := make(chan struct{})
	var once sync.Once
	opt := Options{CacheDir: t.TempDir(), Progress: func(string) { once.Do(func() { close(waiting) }) }}
	c, err := OpenCache(opt)
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := c.lock(context.Background(), opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-waiting; cancel() }()
	if _, err := c.lock(ctx, opt); !errors.Is(err, context.Canceled) {
		t.Errorf("second lock: %v", err)
	}
	unlock()
	ctx, cancel = context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	unlock, err = c.lock(ctx, opt)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestCacheFolder(t *testing.T) {
	if _, err := OpenCache(Options{CacheDir: "a\"b"}); err == nil {
		t.Error("a folder that apt's configuration can't name is accepted")
	}
	t.Setenv("MAPPROF_CACHE", "")
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	if _, err := OpenCache(Options{}); err == nil || !strings.Contains(err.Error(), "MAPPROF_CACHE") {
		t.Errorf("error %v", err)
	}
}
