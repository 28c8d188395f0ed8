// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	kernelImageName = "vmlinuz"
	kernelMetaName  = "kernel.json"
	kernelTmpPrefix = ".tmp-"
	kernelMetaMax   = 64 << 10
)

// meta is kernel.json, kept beside each cached image. Series, Version,
// Package and Suite are empty for an image out of a package the user gave.
type meta struct {
	Series    string    `json:"series,omitempty"`
	Version   string    `json:"version,omitempty"` // Debian's, of the package
	Package   string    `json:"package,omitempty"`
	Suite     string    `json:"suite,omitempty"`
	Release   string    `json:"release"`
	Arch      string    `json:"arch,omitempty"` // empty: amd64, as all were
	SHA256    string    `json:"sha256"`         // of the image
	DebSHA256 string    `json:"deb_sha256,omitempty"`
	SizeBytes int64     `json:"size_bytes"` // of the image
	Fetched   time.Time `json:"fetched"`
}

func (m meta) kernel(dir, requested, source string) Kernel {
	return Kernel{
		Requested: requested,
		Path:      filepath.Join(dir, kernelImageName),
		Release:   m.Release,
		Arch:      m.Arch,
		Source:    source,
		SHA256:    m.SHA256,
	}
}

func (m meta) source() string {
	return fmt.Sprintf("Debian %s, %s %s", m.Suite, m.Package, m.Version)
}

// Cache is the folder of images, and of apt's state to get them:
//
//	lock                             held by whoever writes here
//	kernels/SERIES/VERSION/          vmlinuz, kernel.json; VERSION-arm64/ of arm64
//	kernels/deb/SHA256-OF-PACKAGE/   likewise
//	kernels/uki/SHA256-OF-IMAGE/     likewise
//	apt/SUITE-MIRROR/                package indexes
//
// A kernel's folder appears by rename, so readers need no lock.
type Cache struct {
	Dir     string
	kernels string
}

func OpenCache(opt Options) (*Cache, error) {
	dir := opt.CacheDir
	if dir == "" {
		dir = os.Getenv("MAPPROF_CACHE")
	}
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("find cache folder: %w (set MAPPROF_CACHE to a folder)", err)
		}
		dir = filepath.Join(base, "mapprof")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find cache folder: %w", err)
	}
	// apt's configuration files can't escape these.
	if strings.ContainsAny(dir, "\"\n\\;{}") {
		return nil, fmt.Errorf("open cache folder %q: unusable name (set MAPPROF_CACHE to one of plain characters)", dir)
	}
	return &Cache{Dir: dir, kernels: filepath.Join(dir, "kernels")}, nil
}

// cachedKernel is one image in the cache, not yet checked.
type cachedKernel struct {
	dir  string
	meta meta
}

// all returns the archive's kernels of an architecture in the cache, newest first.
func (c *Cache) all(arch string) []cachedKernel {
	paths, _ := filepath.Glob(filepath.Join(c.kernels, "[0-9]*.[0-9]*", "[0-9]*", kernelMetaName))
	var found []cachedKernel
	for _, p := range paths {
		dir := filepath.Dir(p)
		m, err := c.read(dir)
		if err != nil || m.Series == "" || m.Arch != arch {
			continue
		}
		found = append(found, cachedKernel{dir, m})
	}
	slices.SortStableFunc(found, func(a, b cachedKernel) int {
		return CompareVersions(b.meta.Version, a.meta.Version)
	})
	return found
}

// series returns the series that the cache has, oldest first.
func (c *Cache) series(arch string) []string {
	var out []string
	for _, k := range c.all(arch) {
		if !slices.Contains(out, k.meta.Series) {
			out = append(out, k.meta.Series)
		}
	}
	slices.Reverse(out)
	return out
}

// newest returns the newest intact kernel that goes by name. Damaged images
// are passed over, and reported as progress.
func (c *Cache) newest(name, arch string, opt Options) (Kernel, bool, error) {
	for _, k := range c.all(arch) {
		if !matchesKernel(name, k.meta.Version, k.meta.Release) {
			continue
		}
		if !c.intact(k.dir, k.meta) {
			opt.say("cached kernel %s is damaged, not used", k.meta.Release)
			continue
		}
		return k.meta.kernel(k.dir, name, k.meta.source()), true, nil
	}
	return Kernel{}, false, nil
}

func (c *Cache) read(dir string) (meta, error) {
	var m meta
	f, err := os.Open(filepath.Join(dir, kernelMetaName))
	if err != nil {
		return m, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, kernelMetaMax))
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, err
	}
	m.Arch = cmp.Or(m.Arch, "amd64")
	if !PlainName(m.Release) || (m.Version != "" && SeriesOf(m.Version) != m.Series) {
		return m, errors.New("malformed " + kernelMetaName)
	}
	return m, nil
}

// intact checks the image against its recorded digest.
func (c *Cache) intact(dir string, m meta) bool {
	f, err := os.Open(filepath.Join(dir, kernelImageName))
	if err != nil {
		return false
	}
	defer f.Close()
	sum, err := HashFile(context.Background(), f)
	return err == nil && sum == m.SHA256
}

// lock takes the cache's lock, waiting for another process to finish. The
// kernel releases it if this process dies.
func (c *Cache) lock(ctx context.Context, opt Options) (unlock func(), err error) {
	if err := os.MkdirAll(c.kernels, 0o755); err != nil {
		return nil, fmt.Errorf("create cache folder: %w (set MAPPROF_CACHE to a writable one)", err)
	}
	f, err := os.OpenFile(filepath.Join(c.Dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock cache folder: %w (set MAPPROF_CACHE to a writable one)", err)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for said := false; ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // closing unlocks
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("lock cache folder %s: %w", c.Dir, err)
		}
		if !said {
			opt.say("waiting for another mapprof to finish with %s", c.Dir)
			said = true
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("lock cache folder %s: %w", c.Dir, ctx.Err())
		case <-tick.C:
		}
	}
}

// storeDeb extracts the image of the package at deb to the folder dir of the
// cache, beside *m, which it completes. The lock is held.
func (c *Cache) storeDeb(ctx context.Context, dir, deb string, m *meta) error {
	return c.store(dir, "in "+deb, m, func(w io.Writer) error {
		in, err := os.Open(deb)
		if err != nil {
			return &DebError{deb, err}
		}
		defer in.Close()
		if err := copyDebImage(ctx, w, in); err != nil {
			return &DebError{deb, err}
		}
		return nil
	})
}

// store puts the image that write writes into the folder dir of the cache, beside
// *m, which it completes. Errors about it name it so. The lock is held.
func (c *Cache) store(dir, name string, m *meta, write func(io.Writer) error) (err error) {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("store kernel: %w", err)
	}
	c.sweep(parent)
	tmp, err := os.MkdirTemp(parent, kernelTmpPrefix)
	if err != nil {
		return fmt.Errorf("store kernel: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(tmp)
		}
	}()
	if err := m.extract(filepath.Join(tmp, kernelImageName), name, write); err != nil {
		return err
	}
	m.Fetched = time.Now().UTC().Truncate(time.Second)
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("store kernel: %w", err)
	}
	if err := writeSynced(filepath.Join(tmp, kernelMetaName), append(b, '\n')); err != nil {
		return fmt.Errorf("store kernel: %w", err)
	}
	if err := os.Chmod(tmp, 0o755); err != nil { // MkdirTemp made it 0700
		return fmt.Errorf("store kernel: %w", err)
	}
	if err := os.RemoveAll(dir); err != nil { // a damaged one
		return fmt.Errorf("store kernel: %w", err)
	}
	if err := os.Rename(tmp, dir); err != nil {
		return fmt.Errorf("store kernel: %w", err)
	}
	return syncDir(parent)
}

// sweep removes what an interrupted store left behind.
func (c *Cache) sweep(parent string) {
	left, _ := filepath.Glob(filepath.Join(parent, kernelTmpPrefix+"*"))
	for _, p := range left {
		_ = os.RemoveAll(p)
	}
}

// extract has an image written to a new file, checks it, and sets m's Release, Arch,
// SHA256 and SizeBytes.
func (m *meta) extract(image, name string, write func(io.Writer) error) error {
	out, err := os.OpenFile(image, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("store kernel: %w", err)
	}
	defer out.Close()
	if err := write(out); err != nil {
		return err
	}
	if m.SizeBytes, err = out.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("store kernel: %w", err)
	}
	if m.Release, m.Arch, err = readKernelImage(out, m.SizeBytes); err != nil {
		return namedImage(err, name)
	}
	if m.SHA256, err = HashFile(context.Background(), out); err != nil {
		return fmt.Errorf("store kernel: %w", err)
	}
	if err := out.Sync(); err != nil {
		return fmt.Errorf("store kernel: %w", err)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("store kernel: %w", err)
	}
	return nil
}

// writeSynced writes a new file and waits for the disk.
func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// ReplaceFile is writeSynced for a file that may exist: it is replaced
// whole or not at all.
func ReplaceFile(path string, b []byte) error {
	tmp := filepath.Join(filepath.Dir(path), kernelTmpPrefix+filepath.Base(path))
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := writeSynced(tmp, b); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the renames in a folder last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
