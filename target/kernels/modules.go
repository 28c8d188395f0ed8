// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Module is a kernel module, ready to be loaded.
type Module struct {
	Name string
	Data []byte // ELF, unpacked
}

// ModuleError says that a kernel comes without a module.
type ModuleError struct {
	Module, Release string
	Problem         string
}

func (e *ModuleError) Error() string {
	return fmt.Sprintf("module %s: kernel %s %s", e.Module, e.Release, e.Problem)
}

// AloneError is a ModuleError of an image without any modules, which may have them
// built in.
type AloneError struct{ ModuleError }

func (e *AloneError) Unwrap() error { return &e.ModuleError }

const (
	modulesDir = "modules"
	// builtinFile lists the modules that are in the image.
	builtinFile    = "modules.builtin"
	maxModuleBytes = 64 << 20 // of one, unpacked
)

// moduleRE matches a module's file in a package, and the list of those built in. Names
// only choose the member and the name in a folder of the cache.
var moduleRE = regexp.MustCompile(`^(?:\./)?(?:usr/)?lib/modules/[^/]+/(?:kernel/(?:[^/]+/)*([A-Za-z0-9_-]+\.ko(?:\.xz|\.zst|\.gz)?)|(modules\.builtin))$`)

// Modules returns the named modules of a kernel and what they depend on, in the order in
// which to load them; one that is built into the image is left out. They come from the
// package that the kernel comes from, or, of an image that is a file, from this machine's
// /lib/modules.
func Modules(ctx context.Context, k Kernel, names []string, opt Options) ([]Module, error) {
	if len(names) == 0 {
		return nil, nil
	}
	files, err := moduleFiles(ctx, k, names[0], opt)
	if err != nil {
		return nil, err
	}
	l := &moduleLoader{files: files, release: k.Release, have: map[string]bool{}}
	for _, name := range names {
		if err := l.add(name, 0); err != nil {
			return nil, err
		}
	}
	return l.modules, nil
}

// moduleIndex is where a kernel's modules are, by name.
type moduleIndex struct {
	path    map[string]string
	builtin map[string]bool
}

// moduleName is a module's name by that of its file.
func moduleName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(strings.TrimSpace(file)), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// indexModules goes through a folder with modules in it.
func indexModules(dir string) (*moduleIndex, error) {
	ix := &moduleIndex{path: map[string]string{}, builtin: map[string]bool{}}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Type().IsRegular() && strings.Contains(d.Name(), ".ko") {
			ix.path[moduleName(path)] = path
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read modules: %w", err)
	}
	list, err := os.ReadFile(filepath.Join(dir, builtinFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read modules: %w", err)
	}
	for line := range strings.Lines(string(list)) {
		ix.builtin[moduleName(line)] = true
	}
	return ix, nil
}

// moduleFiles finds a kernel's modules, and extracts them where they must be. asked is
// the name of one, for errors.
func moduleFiles(ctx context.Context, k Kernel, asked string, opt Options) (*moduleIndex, error) {
	cache, err := OpenCache(opt)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(k.Path)
	m, err := cache.read(dir)
	if err != nil || m.Package == "" && m.DebSHA256 == "" || !strings.HasPrefix(dir, cache.kernels+string(filepath.Separator)) {
		dir = filepath.Join("/lib/modules", k.Release)
		if _, err := os.Stat(dir); err != nil {
			return nil, &AloneError{ModuleError{asked, k.Release, fmt.Sprintf("is a file, and this machine has no %s (build it into the image, or give the kernel's .deb)", dir)}}
		}
		return indexModules(dir)
	}
	modules := filepath.Join(dir, modulesDir)
	if _, err := os.Stat(modules); err == nil {
		return indexModules(modules)
	}
	unlock, err := cache.lock(ctx, opt)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := os.Stat(modules); err != nil { // nobody was faster
		if err := cache.storeModules(ctx, modules, m, k, asked, opt); err != nil {
			return nil, err
		}
	}
	return indexModules(modules)
}

// storeModules extracts a kernel's modules into a folder of the cache. The lock is held.
func (c *Cache) storeModules(ctx context.Context, modules string, m meta, k Kernel, asked string, opt Options) error {
	dir := filepath.Dir(modules)
	c.sweep(dir)
	tmp, err := os.MkdirTemp(dir, kernelTmpPrefix)
	if err != nil {
		return fmt.Errorf("store modules: %w", err)
	}
	defer os.RemoveAll(tmp)
	deb := k.Requested // of a package that the user gave
	if m.Package != "" {
		if opt.Offline {
			return &ModuleError{asked, k.Release, "has its modules not in the cache (leave out --offline once)"}
		}
		if deb, err = c.modulesPackage(ctx, m, tmp, asked, opt); err != nil {
			return err
		}
	}
	opt.say("extracting the modules from %s", filepath.Base(deb))
	in, err := os.Open(deb)
	if err != nil {
		return &DebError{deb, err}
	}
	defer in.Close()
	out := filepath.Join(tmp, modulesDir)
	if err := os.Mkdir(out, 0o755); err != nil {
		return fmt.Errorf("store modules: %w", err)
	}
	if err := copyDebModules(ctx, out, in); err != nil {
		return &DebError{filepath.Base(deb), err}
	}
	if err := os.Rename(out, modules); err != nil {
		return fmt.Errorf("store modules: %w", err)
	}
	return syncDir(dir)
}

// modulesPackage downloads the package with an archive's kernel's modules into a folder:
// from 6.19 on they are in one of their own.
func (c *Cache) modulesPackage(ctx context.Context, m meta, dir, asked string, opt Options) (string, error) {
	for _, maxAge := range []time.Duration{indexMaxAge, 0} {
		ix, err := c.index(ctx, m.Arch, opt, maxAge)
		if err != nil {
			return "", err
		}
		for _, p := range slices.Concat(ix.Modules, ix.Packages) {
			if p.Version != m.Version || p.Release != m.Release || strings.HasPrefix(p.Name, "linux-binary-") || strings.HasSuffix(p.Name, "-unsigned") != strings.HasSuffix(m.Package, "-unsigned") {
				continue
			}
			opt.say("fetching %s %s from Debian %s (%.1f MB)", p.Name, p.Version, p.Suite, float64(p.SizeBytes)/1e6)
			return ix.Download(ctx, p, dir)
		}
	}
	return "", &ModuleError{asked, m.Release, "has its modules in a package that the archive has no longer (mapprof kernels fetch " + m.Series + " gets the newest kernel)"}
}

// copyDebModules copies the modules in the .deb deb into a folder, packed as they are.
func copyDebModules(ctx context.Context, dir string, deb io.Reader) error {
	return eachDebFile(ctx, deb, debMaxUnpacked, func(h *tar.Header, r io.Reader) (bool, error) {
		found := moduleRE.FindStringSubmatch(h.Name)
		if found == nil {
			return true, nil
		}
		if h.Size > maxModuleBytes {
			return false, fmt.Errorf("module of %d MiB is too big", h.Size>>20)
		}
		f, err := os.OpenFile(filepath.Join(dir, found[1]+found[2]), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
		if err != nil {
			return false, err
		}
		_, err = io.Copy(f, r)
		return true, errors.Join(err, f.Close())
	})
}

// moduleLoader collects modules, each after what it depends on.
type moduleLoader struct {
	files   *moduleIndex
	release string
	have    map[string]bool
	modules []Module
}

// maxModuleDepth is far above how deep modules depend on each other.
const maxModuleDepth = 64

func (l *moduleLoader) add(name string, depth int) error {
	name = strings.ReplaceAll(name, "-", "_")
	if l.have[name] || l.files.builtin[name] {
		return nil
	}
	path, ok := l.files.path[name]
	if !ok {
		return &ModuleError{name, l.release, "has no such module"}
	}
	if depth > maxModuleDepth {
		return &ModuleError{name, l.release, "has it depend on itself"}
	}
	l.have[name] = true
	data, err := readModule(path)
	if err != nil {
		return &ModuleError{name, l.release, fmt.Sprintf("has a damaged one: %v", err)}
	}
	needs, err := dependencies(data)
	if err != nil {
		return &ModuleError{name, l.release, fmt.Sprintf("has a damaged one: %v", err)}
	}
	for _, need := range needs {
		if err := l.add(need, depth+1); err != nil {
			return err
		}
	}
	l.modules = append(l.modules, Module{Name: name, Data: data})
	return nil
}

// readModule reads and unpacks a module's file.
func readModule(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	_, suffix, _ := strings.Cut(filepath.Base(path), ".ko")
	r, done, err := decompress(suffix, f)
	if err != nil {
		return nil, err
	}
	defer done()
	data, err := io.ReadAll(&boundedReader{r: r, left: maxModuleBytes})
	return data, err
}

// dependencies are the modules that a module's .modinfo says it depends on.
func dependencies(module []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(module))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, errors.New("it has no .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for field := range bytes.SplitSeq(info, []byte{0}) {
		if list, ok := bytes.CutPrefix(field, []byte("depends=")); ok && len(list) > 0 {
			return strings.Split(string(list), ","), nil
		}
	}
	return nil, nil
}
