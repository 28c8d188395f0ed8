// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

// How long an index of a source's packages serves when a kernel is only wanted,
// and when it is asked to be the newest: long enough for one command to fetch
// several.
const (
	indexMaxAge         = 24 * time.Hour
	explicitIndexMaxAge = 5 * time.Minute
)

// Source is where kernels come from: a distribution's archive. One is a package
// of its own that registers it; Debian's is the first.
type Source interface {
	// Name is the distribution's.
	Name() string
	// Index says what the archive has now. It may use the network.
	Index(ctx context.Context, o IndexOptions) (*Index, error)
}

// IndexOptions direct a Source. The lock of the cache is held.
type IndexOptions struct {
	Dir    string        // in which the source keeps its state
	Arch   string        // of the kernels
	MaxAge time.Duration // an index that is older is updated
	Say    func(format string, args ...any)
}

// Index is what an archive has.
type Index struct {
	Packages []Package
	// Modules are packages with a kernel's modules that aren't beside its image.
	Modules []Package
	// Download puts a package into a folder, its signature checked, and returns
	// its path. An error that is ErrGone tells that the archive lacks it.
	Download func(ctx context.Context, p Package, dir string) (string, error)

	Missing   []string      // parts of the archive that could not be searched
	Notes     []string      // why
	Age       time.Duration // of the oldest part
	Signature error         // of a part that was not signed; nil: all are
}

// Package is a .deb of an archive that holds a kernel.
type Package struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Release   string `json:"release"`    // of the kernel, by the package's name
	Suite     string `json:"suite"`      // of the distribution
	SizeBytes int64  `json:"size_bytes"` // to download
	SHA256    string `json:"sha256"`
	Arch      string `json:"-"`
	// Rank orders the packages of one version: the lowest is tried first.
	Rank int `json:"-"`
}

// ErrGone tells that an archive lacks a package that its index names. That
// happens while a mirror is being updated, and to old suites for good.
var ErrGone = errors.New("the archive has it no longer")

var sources []Source

// Register adds a source of kernels, from the init function of its package.
func Register(s Source) { sources = append(sources, s) }

// index asks the sources for an architecture's. The lock is held.
func (c *Cache) index(ctx context.Context, arch string, opt Options, maxAge time.Duration) (*Index, error) {
	if len(sources) == 0 {
		return nil, errors.New("find kernel: this program knows no archive of kernels (give a bzImage or a .deb)")
	}
	all := &Index{}
	origin := map[string]*Index{} // by digest of the package
	all.Download = func(ctx context.Context, p Package, dir string) (string, error) {
		return origin[p.SHA256].Download(ctx, p, dir)
	}
	var errs []error
	for _, s := range sources {
		ix, err := s.Index(ctx, IndexOptions{Dir: c.Dir, Arch: arch, MaxAge: maxAge, Say: opt.say})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, p := range slices.Concat(ix.Packages, ix.Modules) {
			origin[p.SHA256] = ix
		}
		all.Modules = append(all.Modules, ix.Modules...)
		all.Packages, all.Missing, all.Notes = append(all.Packages, ix.Packages...), append(all.Missing, ix.Missing...), append(all.Notes, ix.Notes...)
		all.Age, all.Signature = max(all.Age, ix.Age), cmp.Or(all.Signature, ix.Signature)
	}
	switch len(errs) {
	case 0:
		return all, nil
	case len(sources):
		return nil, errs[0]
	}
	for _, err := range errs {
		all.Notes = append(all.Notes, err.Error())
	}
	return all, nil
}

// Candidates returns the packages that go by name in the order in which to
// try them: newest first.
func (ix *Index) Candidates(name string) []Package {
	var out []Package
	for _, p := range ix.Packages {
		if matchesKernel(name, p.Version, p.Release) {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b Package) int {
		return cmp.Or(CompareVersions(b.Version, a.Version), cmp.Compare(a.Rank, b.Rank))
	})
	return out
}

// Series returns the series in the index, oldest first.
func (ix *Index) Series() []string {
	var out []string
	for _, p := range ix.Packages {
		if s := SeriesOf(p.Version); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, CompareVersions)
	return out
}
