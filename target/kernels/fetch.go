// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mapprof/mapprof/target/machine"
)

// Fetch gets the newest kernel of a series (or an exact version or
// release, see Resolve) that the sources have now into the cache,
// its signatures checked, and returns it. If the cache has it already nothing
// but the package index is downloaded. Suites that can't be searched are
// reported as progress.
func Fetch(ctx context.Context, name string, opt Options) (Kernel, error) {
	if !kernelSeriesRE.MatchString(name) && !kernelExactRE.MatchString(name) {
		return Kernel{}, &UnknownError{Requested: name, Known: knownSeries(name, opt)}
	}
	if why := cannotBe(name, time.Now()); why != "" {
		return Kernel{}, &UnknownError{Requested: name, Why: why}
	}
	if opt.Offline {
		return resolveNamed(ctx, name, opt)
	}
	return fetchKernel(ctx, name, opt, explicitIndexMaxAge)
}

// knownSeries is what can be said without the network.
func knownSeries(name string, opt Options) []string {
	cache, err := OpenCache(opt)
	if err != nil {
		return nil
	}
	return cache.series(opt.arch(name))
}

func fetchKernel(ctx context.Context, name string, opt Options, maxAge time.Duration) (Kernel, error) {
	cache, err := OpenCache(opt)
	if err != nil {
		return Kernel{}, err
	}
	unlock, err := cache.lock(ctx, opt)
	if err != nil {
		return Kernel{}, err
	}
	defer unlock()

	for retried := false; ; retried = true {
		ix, err := cache.index(ctx, opt.arch(name), opt, maxAge)
		if err != nil {
			return Kernel{}, err
		}
		for _, note := range ix.Notes {
			opt.say("%s", note)
		}
		k, err := cache.fetchFrom(ctx, ix, name, opt)
		var unknown *UnknownError
		moved := errors.Is(err, ErrGone)
		if errors.As(err, &unknown) {
			// A new series comes every nine weeks, a new version any day.
			moved = maxAge < indexMaxAge || name != SeriesOf(name)
		}
		if moved && !retried && ix.Age > explicitIndexMaxAge {
			maxAge = 0 // the archive has moved on since
			continue
		}
		if unknown != nil && ix.Signature != nil {
			return Kernel{}, ix.Signature
		}
		return k, err
	}
}

// fetchFrom fetches the newest kernel of that name in the index that the
// archive really has.
func (c *Cache) fetchFrom(ctx context.Context, ix *Index, name string, opt Options) (Kernel, error) {
	candidates := ix.Candidates(name)
	if len(candidates) == 0 {
		return Kernel{}, &UnknownError{Requested: name, Known: ix.Series(), Notes: ix.Missing}
	}
	var firstErr error
	for _, p := range candidates {
		kind, err := machine.Of(p.Arch)
		if err != nil {
			return Kernel{}, err
		}
		dir := filepath.Join(c.kernels, SeriesOf(p.Version), strings.ReplaceAll(p.Version, ":", "_")+kind.CacheSuffix)
		if m, err := c.read(dir); err == nil && m.Version == p.Version && c.intact(dir, m) {
			opt.say("%s is in the cache", m.Release)
			return m.kernel(dir, name, m.source()), nil
		}
		m, err := c.fetchPackage(ctx, ix, p, dir, opt)
		if err == nil {
			return m.kernel(dir, name, m.source()), nil
		}
		firstErr = cmp.Or(firstErr, err)
		switch {
		case errors.Is(err, errNoImage): // another package of the version may
		case errors.Is(err, ErrGone) && ix.Age <= explicitIndexMaxAge:
			opt.say("%s %s is in the index but not in the archive", p.Name, p.Version)
		default:
			return Kernel{}, err
		}
	}
	return Kernel{}, firstErr
}

// fetchPackage downloads a package, extracts its image to dir and deletes it.
func (c *Cache) fetchPackage(ctx context.Context, ix *Index, p Package, dir string, opt Options) (meta, error) {
	m := meta{Series: SeriesOf(p.Version), Version: p.Version, Package: p.Name, Suite: p.Suite, DebSHA256: p.SHA256}
	c.sweep(c.kernels)
	tmp, err := os.MkdirTemp(c.kernels, kernelTmpPrefix)
	if err != nil {
		return m, fmt.Errorf("fetch %s: %w", p.Name, err)
	}
	defer os.RemoveAll(tmp)
	opt.say("fetching %s %s from Debian %s (%.1f MB)", p.Name, p.Version, p.Suite, float64(p.SizeBytes)/1e6)
	deb, err := ix.Download(ctx, p, tmp)
	if err != nil {
		return m, err
	}
	opt.say("extracting the kernel from %s", filepath.Base(deb))
	err = c.storeDeb(ctx, dir, deb, &m)
	var de *DebError
	if errors.As(err, &de) {
		de.Path = p.Name // the file is gone when this is read
	}
	return m, err
}
