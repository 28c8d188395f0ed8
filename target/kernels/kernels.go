// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/mapprof/mapprof/internal/regularfile"
	"github.com/mapprof/mapprof/target/machine"
)

// Kernel is a kernel image on disk, ready to boot.
type Kernel struct {
	// Requested is what the user gave: a series, a release, a path.
	Requested string `json:"requested"`
	// Path is the image as it came: a bzImage, an Image, one that is packed.
	Path string `json:"path"`
	// Release is what uname -r will say, read from the image's header.
	Release string `json:"release"`
	// Arch is its architecture, as Go calls it.
	Arch string `json:"arch"`
	// Source says in words where the image came from.
	Source string `json:"source"`
	// SHA256 is the hexadecimal digest of the file at Path.
	SHA256 string `json:"sha256"`
}

// Options direct where kernels are looked for. The zero value is the
// user's cache, with the network allowed.
type Options struct {
	// CacheDir holds images and package indexes; empty means
	// $MAPPROF_CACHE, or else the folder mapprof in os.UserCacheDir().
	CacheDir string
	// Arch is the wanted kernels' architecture; empty: that of the file or the name,
	// else this program's.
	Arch string
	// Offline forbids the network: only what the cache holds is found.
	Offline bool
	// Progress, if set, is told in short lines what is being waited for.
	// It is never called by two goroutines at once.
	Progress func(line string)
}

// arch is the architecture of the kernel that goes by a name in an archive, where a
// release may end in it.
func (o Options) arch(name string) string {
	for _, a := range machine.Names() {
		if o.Arch == "" && strings.HasSuffix(name, "-"+a) {
			return a
		}
	}
	return cmp.Or(o.Arch, machine.Default())
}

func (o Options) say(format string, args ...any) {
	if o.Progress != nil {
		o.Progress(fmt.Sprintf(format, args...))
	}
}

// UnknownError says that no kernel goes by the name that was given.
type UnknownError struct {
	Requested string
	Known     []string // series that do exist, oldest first
	Offline   bool     // only the cache was searched
	Notes     []string // parts of the archive that could not be searched
	Why       string   // nothing needed to be searched for that; may be empty
}

func (e *UnknownError) Error() string {
	known := strings.Join(e.Known, ", ")
	if e.Offline {
		if known == "" {
			known = "none"
		}
		return fmt.Sprintf("resolve kernel %q: not in the cache (%s; mapprof kernels fetch gets others when there is a network)",
			e.Requested, nearestSeries(e.Requested, e.Known)+"cached: "+known)
	}
	hint := nearestSeries(e.Requested, e.Known) + "have: " + known
	switch {
	case e.Why != "":
		hint = e.Why
	case known == "":
		hint = "the archive offers none"
	}
	if len(e.Notes) > 0 {
		hint += "; not searched: " + strings.Join(e.Notes, ", ")
	}
	return fmt.Sprintf("resolve kernel %q: no such series or release (%s)", e.Requested, hint)
}

// NotKernelError says that a file is no kernel image that can be booted.
type NotKernelError struct {
	Path    string
	Problem string
	Hint    string // may be empty
}

func (e *NotKernelError) Error() string {
	s := fmt.Sprintf("read kernel image %s: %s", e.Path, e.Problem)
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

var (
	kernelSeriesRE = regexp.MustCompile(`^[0-9]{1,4}\.[0-9]{1,4}(\.[0-9]{1,6})?$`)
	kernelExactRE  = regexp.MustCompile(`^[0-9]{1,4}\.[0-9]{1,4}[0-9A-Za-z.+~_-]{1,80}$`)
)

// Resolve finds the kernel that arg names:
//
//   - a series ("6.12") or an upstream version ("6.12.117"): the newest such
//     kernel in the cache; the network is used only if the cache has none;
//   - an exact release or package version ("6.1.0-56-cloud-amd64",
//     "6.1.192-2"), likewise;
//   - a path to a bzImage or an arm64 Image, used where it lies;
//   - a path to a unified kernel image or a .deb that holds one: its image is
//     extracted to the cache.
//
// A series or upstream version is never taken for a path, even if a file has
// that name: write ./6.12 for the file. The longer exact names are, if no
// such file exists.
//
// Errors to tell apart: *UnknownError, *NotKernelError, *DebError,
// *AptError, *SignatureError.
func Resolve(ctx context.Context, arg string, opt Options) (Kernel, error) {
	if arg == "" {
		return Kernel{}, &NotKernelError{Path: `""`, Problem: "an empty name", Hint: "give a series such as 6.12, a bzImage or a .deb"}
	}
	if isKernelName(arg) {
		return resolveNamed(ctx, arg, opt)
	}
	k, err := resolveFile(ctx, arg, opt)
	if err == nil && opt.Arch != "" && k.Arch != opt.Arch {
		return Kernel{}, &NotKernelError{arg, "is a kernel for " + k.Arch, "--arch says " + opt.Arch}
	}
	return k, err
}

// isKernelName tells names of the archive's kernels from paths.
func isKernelName(arg string) bool {
	if strings.ContainsRune(arg, filepath.Separator) {
		return false
	}
	if kernelSeriesRE.MatchString(arg) {
		return true
	}
	if !kernelExactRE.MatchString(arg) || strings.HasSuffix(arg, ".deb") {
		return false
	}
	_, err := os.Lstat(arg)
	return err != nil
}

func resolveNamed(ctx context.Context, name string, opt Options) (Kernel, error) {
	cache, err := OpenCache(opt)
	if err != nil {
		return Kernel{}, err
	}
	if k, ok, err := cache.newest(name, opt.arch(name), opt); err != nil || ok {
		return k, err
	}
	if why := cannotBe(name, time.Now()); why != "" {
		return Kernel{}, &UnknownError{Requested: name, Why: why}
	}
	if opt.Offline {
		return Kernel{}, &UnknownError{Requested: name, Offline: true, Known: cache.series(opt.arch(name))}
	}
	return fetchKernel(ctx, name, opt, indexMaxAge)
}

func resolveFile(ctx context.Context, path string, opt Options) (Kernel, error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return Kernel{}, &NotKernelError{path, "no such file",
			"give a series such as 6.12, a bzImage or a .deb"}
	case err != nil:
		return Kernel{}, fmt.Errorf("read kernel image: %w", err)
	case st.IsDir():
		hint := "give the bzImage file"
		for _, m := range machine.All() {
			image := filepath.Join(path, filepath.FromSlash(m.Image))
			if _, err := os.Stat(image); err == nil {
				hint = "give " + image
			}
		}
		return Kernel{}, &NotKernelError{path, "is a directory", hint}
	case !st.Mode().IsRegular():
		return Kernel{}, &NotKernelError{path, "is not a regular file", ""}
	}
	f, err := os.Open(path)
	if err != nil {
		return Kernel{}, fmt.Errorf("read kernel image: %w", err)
	}
	defer f.Close()
	var magic [len(arMagic)]byte
	if n, err := io.ReadFull(f, magic[:]); err == nil && bytes.Equal(magic[:n], []byte(arMagic)) {
		return resolveDeb(ctx, path, f, opt)
	}
	release, arch, err := readKernelImage(f, st.Size())
	if err != nil {
		kernel, uerr := linuxSection(f, st.Size())
		switch {
		case uerr != nil:
			err = uerr
		case kernel != nil:
			return resolveUnified(ctx, path, f, kernel, opt)
		}
		return Kernel{}, besideELF(namedImage(err, path), path, magic[:])
	}
	sum, err := HashFile(ctx, f)
	if err != nil {
		return Kernel{}, fmt.Errorf("read kernel image %s: %w", path, err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return Kernel{}, fmt.Errorf("read kernel image %s: %w", path, err)
	}
	return Kernel{Requested: path, Path: abs, Release: release, Arch: arch, Source: "file", SHA256: sum}, nil
}

// resolveDeb extracts the image of the package f once; the cache knows it by
// the digest of the package.
func resolveDeb(ctx context.Context, path string, f *os.File, opt Options) (Kernel, error) {
	sum, err := HashFile(ctx, f)
	if err != nil {
		return Kernel{}, &DebError{path, err}
	}
	return resolveExtracted(ctx, filepath.Join("deb", sum), path, "package "+filepath.Base(path), meta{DebSHA256: sum}, opt,
		func(c *Cache, dir string, m *meta) error { return c.storeDeb(ctx, dir, path, m) })
}

// resolveExtracted returns a kernel that is in another file, from the folder of
// that name in the cache, where store puts it if it isn't there.
func resolveExtracted(ctx context.Context, name, path, source string, m meta, opt Options, store func(c *Cache, dir string, m *meta) error) (Kernel, error) {
	cache, err := OpenCache(opt)
	if err != nil {
		return Kernel{}, err
	}
	dir := filepath.Join(cache.kernels, name)
	if m, err := cache.read(dir); err == nil && cache.intact(dir, m) {
		return m.kernel(dir, path, source), nil
	}
	unlock, err := cache.lock(ctx, opt)
	if err != nil {
		return Kernel{}, err
	}
	defer unlock()
	opt.say("extracting the kernel from %s", filepath.Base(path))
	if err := store(cache, dir, &m); err != nil {
		return Kernel{}, err
	}
	return m.kernel(dir, path, source), nil
}

// besideELF names the bzImage that was built with a vmlinux, where there is one.
func besideELF(err error, path string, magic []byte) error {
	var nk *NotKernelError
	if !errors.As(err, &nk) || !bytes.HasPrefix(magic, []byte("\x7fELF")) {
		return err
	}
	dir, base := filepath.Split(path)
	beside := []string{}
	for _, m := range machine.All() { // of the tree's vmlinux
		beside = append(beside, filepath.Join(dir, filepath.FromSlash(m.Image)))
	}
	for _, image := range append(beside,
		filepath.Join(dir, "..", "bzImage"), // of arch/x86/boot/compressed/vmlinux
		filepath.Join(dir, strings.Replace(base, "vmlinux", "vmlinuz", 1)),
		filepath.Join("/boot", strings.Replace(base, "vmlinux", "vmlinuz", 1)), // of a distribution's, with symbols
	) {
		if isKernelImage(image) {
			nk.Hint = "give " + image
			break
		}
	}
	return nk
}

func isKernelImage(path string) bool {
	f, err := regularfile.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return false
	}
	_, _, err = readKernelImage(f, st.Size())
	return err == nil
}

// namedImage fills in the path of an error about an image's contents.
func namedImage(err error, path string) error {
	var nk *NotKernelError
	if errors.As(err, &nk) {
		nk.Path = path
		return nk
	}
	return fmt.Errorf("read kernel image %s: %w", path, err)
}
