// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"context"
	"fmt"
	"slices"
)

// Entry is a kernel that can be had, or is already in the cache.
type Entry struct {
	Series  string `json:"series"`
	Version string `json:"version"` // of the Debian package
	Release string `json:"release"` // uname -r
	Arch    string `json:"arch"`
	Suite   string `json:"suite"`
	// SizeBytes is what there is to download, or, if Cached, the size of
	// the image.
	SizeBytes int64 `json:"size_bytes"`
	Cached    bool  `json:"cached"`
	// Newest marks the one that the series' name stands for: in the cache
	// if it has any of the series, else in the archive.
	Newest bool `json:"newest"`
}

// Listing is what List found, oldest kernel first.
type Listing struct {
	Kernels []Entry `json:"kernels"`
	// Notes say what could not be searched, and why.
	Notes []string `json:"notes"`
}

// Wanted keeps what a series' name can stand for and what is cached.
func (l Listing) Wanted() Listing {
	wanted := []Entry{}
	// Oldest first: the last of a series is the archive's newest.
	last := map[string]string{}
	for _, k := range l.Kernels {
		last[k.Series] = k.Version
	}
	for _, k := range l.Kernels {
		if k.Cached || last[k.Series] == k.Version {
			wanted = append(wanted, k)
		}
	}
	return Listing{Kernels: wanted, Notes: l.Notes}
}

// List lists an architecture's kernels of the cache and of the sources. What
// is wrong with the archive becomes a note, not an error: the cache's kernels
// are there all the same.
func List(ctx context.Context, opt Options) (Listing, error) {
	cache, err := OpenCache(opt)
	if err != nil {
		return Listing{}, err
	}
	list := Listing{Kernels: []Entry{}, Notes: []string{}}
	arch := opt.arch("")
	cached := cache.all(arch)
	ix := &Index{}
	if opt.Offline {
		list.Notes = append(list.Notes, "offline: only kernels in the cache are listed")
	} else if found, err := cache.archive(ctx, arch, opt); err != nil {
		if ctx.Err() != nil {
			return Listing{}, err
		}
		list.Notes = append(list.Notes, fmt.Sprintf("only kernels in the cache are listed: %v", err))
	} else {
		ix = found
		list.Notes = append(list.Notes, ix.Notes...)
	}
	list.Kernels = mergeKernels(cached, ix)
	return list, nil
}

func (c *Cache) archive(ctx context.Context, arch string, opt Options) (*Index, error) {
	unlock, err := c.lock(ctx, opt)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return c.index(ctx, arch, opt, indexMaxAge)
}

// mergeKernels joins both lists, one entry per package version.
func mergeKernels(cached []cachedKernel, ix *Index) []Entry {
	byVersion := map[string]Entry{}
	for _, p := range ix.Packages {
		// Of a version's packages the one that would be fetched.
		best := ix.Candidates(p.Version)[0]
		byVersion[p.Version] = Entry{
			Series: SeriesOf(p.Version), Version: p.Version, Release: best.Release, Arch: best.Arch,
			Suite: best.Suite, SizeBytes: best.SizeBytes,
		}
	}
	for _, k := range cached {
		byVersion[k.meta.Version] = Entry{
			Series: k.meta.Series, Version: k.meta.Version, Release: k.meta.Release, Arch: k.meta.Arch,
			Suite: k.meta.Suite, SizeBytes: k.meta.SizeBytes, Cached: true,
		}
	}
	out := []Entry{}
	for _, e := range byVersion {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b Entry) int { return CompareVersions(a.Version, b.Version) })
	for _, wantCached := range []bool{true, false} {
		marked := map[string]bool{}
		for i := range out {
			marked[out[i].Series] = marked[out[i].Series] || out[i].Newest
		}
		for i := len(out) - 1; i >= 0; i-- {
			if e := &out[i]; !marked[e.Series] && e.Cached == wantCached {
				e.Newest, marked[e.Series] = true, true
			}
		}
	}
	return out
}
