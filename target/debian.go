// SPDX-License-Identifier: Apache-2.0

package target

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// debianSuites are searched for kernels.
var debianSuites = []string{
	"bullseye", "bullseye-security",
	"bookworm", "bookworm-updates", "bookworm-security", "bookworm-backports",
	"trixie", "trixie-updates", "trixie-security", "trixie-backports",
}

const (
	// indexMaxAge is how long a package index serves when a kernel is
	// only wanted, explicitIndexMaxAge when it is asked to be the newest:
	// long enough for one command to fetch several.
	indexMaxAge         = 24 * time.Hour
	explicitIndexMaxAge = 5 * time.Minute
	// aptParallel limits how many suites are updated at a time.
	aptParallel = 4
	// indexTimeout bounds the update of one suite at one mirror.
	indexTimeout = 5 * time.Minute
)

// FetchKernel gets the newest kernel of a series (or an exact version or
// release, see ResolveKernel) that Debian's archive has now into the cache,
// its signatures checked, and returns it. If the cache has it already nothing
// but the package index is downloaded. Suites that can't be searched are
// reported as progress.
func FetchKernel(ctx context.Context, name string, opt KernelOptions) (Kernel, error) {
	if !kernelSeriesRE.MatchString(name) && !kernelExactRE.MatchString(name) {
		return Kernel{}, &UnknownKernelError{Requested: name, Known: knownSeries(opt)}
	}
	if opt.Offline {
		return resolveNamed(ctx, name, opt)
	}
	return fetchKernel(ctx, name, opt, explicitIndexMaxAge)
}

// knownSeries is what can be said without the network.
func knownSeries(opt KernelOptions) []string {
	cache, err := openKernelCache(opt)
	if err != nil {
		return nil
	}
	return cache.series()
}

func fetchKernel(ctx context.Context, name string, opt KernelOptions, maxAge time.Duration) (Kernel, error) {
	cache, err := openKernelCache(opt)
	if err != nil {
		return Kernel{}, err
	}
	tools, err := findApt()
	if err != nil {
		return Kernel{}, err
	}
	unlock, err := cache.lock(ctx, opt)
	if err != nil {
		return Kernel{}, err
	}
	defer unlock()

	for retried := false; ; retried = true {
		ix, err := cache.index(ctx, tools, opt, maxAge)
		if err != nil {
			return Kernel{}, err
		}
		for _, note := range ix.notes {
			opt.say("%s", note)
		}
		k, err := cache.fetchFrom(ctx, ix, name, opt)
		var unknown *UnknownKernelError
		if (errors.As(err, &unknown) || isGone(err)) && !retried && ix.age > explicitIndexMaxAge {
			maxAge = 0 // the archive has moved on since
			continue
		}
		if unknown != nil && ix.signature != nil {
			return Kernel{}, ix.signature
		}
		return k, err
	}
}

// isGone reports whether the archive lacks a package that its index names.
// That happens while a mirror is being updated, and to old suites for good.
func isGone(err error) bool {
	var ae *AptError
	return errors.As(err, &ae) && ae.gone
}

// fetchFrom fetches the newest kernel of that name in the index that the
// archive really has.
func (c *kernelCache) fetchFrom(ctx context.Context, ix *debianIndex, name string, opt KernelOptions) (Kernel, error) {
	candidates := ix.candidates(name)
	if len(candidates) == 0 {
		return Kernel{}, &UnknownKernelError{Requested: name, Known: ix.series(), Notes: ix.missing}
	}
	var firstErr error
	for _, p := range candidates {
		dir := filepath.Join(c.kernels, seriesOf(p.Version), strings.ReplaceAll(p.Version, ":", "_"))
		if m, err := c.read(dir); err == nil && m.Version == p.Version && c.intact(dir, m) {
			opt.say("%s is in the cache", m.Release)
			return m.kernel(dir, name, m.source()), nil
		}
		m, err := c.fetchPackage(ctx, ix.suites[p.Suite], p, dir, opt)
		if err == nil {
			return m.kernel(dir, name, m.source()), nil
		}
		firstErr = cmp.Or(firstErr, err)
		switch {
		case errors.Is(err, errNoImage): // another package of the version may
		case isGone(err) && ix.age <= explicitIndexMaxAge:
			opt.say("%s %s is in the index but not in the archive", p.Name, p.Version)
		default:
			return Kernel{}, err
		}
	}
	return Kernel{}, firstErr
}

// fetchPackage downloads a package, extracts its image to dir and deletes it.
func (c *kernelCache) fetchPackage(ctx context.Context, s *aptSuite, p debianPackage, dir string, opt KernelOptions) (kernelMeta, error) {
	m := kernelMeta{Series: seriesOf(p.Version), Version: p.Version, Package: p.Name, Suite: p.Suite, DebSHA256: p.SHA256}
	c.sweep(c.kernels)
	tmp, err := os.MkdirTemp(c.kernels, kernelTmpPrefix)
	if err != nil {
		return m, fmt.Errorf("fetch %s: %w", p.Name, err)
	}
	defer os.RemoveAll(tmp)
	opt.say("fetching %s %s from Debian %s (%.1f MB)", p.Name, p.Version, p.Suite, float64(p.SizeBytes)/1e6)
	deb, err := s.download(ctx, p, tmp)
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

// debianIndex is what the archive has.
type debianIndex struct {
	packages  []debianPackage
	suites    map[string]*aptSuite
	missing   []string      // suites that could not be searched
	notes     []string      // why
	age       time.Duration // of the oldest suite's index
	signature error         // a suite's, if one was not signed
}

// candidates returns the packages that go by name in the order in which to
// try them: newest first.
func (ix *debianIndex) candidates(name string) []debianPackage {
	var out []debianPackage
	for _, p := range ix.packages {
		if matchesKernel(name, p.Version, p.Release) {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b debianPackage) int {
		return cmp.Or(compareDebianVersions(b.Version, a.Version), cmp.Compare(packageRank(a.Name), packageRank(b.Name)))
	})
	return out
}

// packageRank prefers, of one version's packages, the small ones with nothing
// but an image, and then the signed ones that Debian installs.
func packageRank(name string) int {
	switch {
	case strings.HasPrefix(name, "linux-binary-unsigned-"):
		return 1
	case strings.HasPrefix(name, "linux-binary-"):
		return 0
	case strings.HasSuffix(name, "-unsigned"):
		return 3
	}
	return 2
}

// series returns the series in the index, oldest first.
func (ix *debianIndex) series() []string {
	var out []string
	for _, p := range ix.packages {
		if s := seriesOf(p.Version); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, compareDebianVersions)
	return out
}

// suiteIndex is kernels.json, kept beside apt's state of each suite.
type suiteIndex struct {
	URI      string          `json:"uri"`
	Updated  time.Time       `json:"updated"`
	Packages []debianPackage `json:"packages"`
}

// fresh also distrusts an index from the future: the clock was wrong once.
func (ix suiteIndex) fresh(maxAge time.Duration) bool {
	age := time.Since(ix.Updated)
	return age >= -time.Hour && age < maxAge
}

// index returns the kernels of every suite, updating those whose index is
// older than maxAge. It fails only if no suite at all could be searched. The
// lock is held.
func (c *kernelCache) index(ctx context.Context, tools *apt, opt KernelOptions, maxAge time.Duration) (*debianIndex, error) {
	mirrors := tools.mirrors(ctx)
	type result struct {
		suite *aptSuite
		ix    suiteIndex
		err   error // of the update; ix may still hold an older index
	}
	results := make([]result, len(debianSuites))
	var wg sync.WaitGroup
	var once sync.Once
	slots := make(chan struct{}, aptParallel)
	for i, suite := range debianSuites {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			r := &results[i]
			r.suite, r.ix, r.err = c.suiteIndex(ctx, tools, suite, mirrors.forSuite(suite), maxAge, func() {
				once.Do(func() { opt.say("updating the index of Debian's kernels") })
			})
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("update index of kernels: %w", err)
	}

	ix := &debianIndex{suites: map[string]*aptSuite{}}
	var firstErr error
	for i, r := range results {
		suite := debianSuites[i]
		if r.err != nil {
			firstErr = cmp.Or(firstErr, r.err)
			var se *SignatureError
			if errors.As(r.err, &se) {
				ix.signature = r.err
			}
			note := fmt.Sprintf("suite %s not searched: %v", suite, r.err)
			if r.suite != nil {
				note = fmt.Sprintf("suite %s as of %s: %v", suite, r.ix.Updated.Format(time.DateTime), r.err)
			}
			ix.notes = append(ix.notes, note)
		}
		if r.suite == nil {
			ix.missing = append(ix.missing, suite)
			continue
		}
		ix.suites[suite] = r.suite
		ix.packages = append(ix.packages, r.ix.Packages...)
		ix.age = max(ix.age, time.Since(r.ix.Updated))
	}
	switch {
	case len(ix.suites) > 0:
		return ix, nil
	case ix.signature != nil:
		return nil, ix.signature
	}
	return nil, &AptError{Action: "update index of kernels", Err: firstErr,
		Hint: "check the network and apt's proxy settings, or give --kernel the path to a bzImage or a .deb"}
}

// suiteIndex returns one suite's kernels, from the first mirror that has it.
// If no mirror can be reached an older index serves, and err says why; if a
// signature was wrong, none does.
func (c *kernelCache) suiteIndex(ctx context.Context, tools *apt, suite string, uris []string, maxAge time.Duration, updating func()) (*aptSuite, suiteIndex, error) {
	states := make([]*aptSuite, len(uris))
	for i, uri := range uris {
		states[i] = &aptSuite{apt: tools, suite: suite, uri: uri, dir: filepath.Join(c.dir, "apt", suite+"-"+shortDigest(uri))}
		if ix, err := states[i].readIndex(); err == nil && ix.fresh(maxAge) {
			return states[i], ix, nil
		}
	}
	updating()
	var firstErr error
	for _, s := range states {
		ix, err := s.refresh(ctx)
		if err == nil {
			return s, ix, nil
		}
		if ctx.Err() != nil {
			return nil, suiteIndex{}, err
		}
		var se *SignatureError
		if errors.As(err, &se) {
			return nil, suiteIndex{}, err
		}
		firstErr = cmp.Or(firstErr, err)
	}
	for _, s := range states {
		if ix, err := s.readIndex(); err == nil {
			return s, ix, firstErr
		}
	}
	return nil, suiteIndex{}, firstErr
}

func (s *aptSuite) indexPath() string { return filepath.Join(s.dir, "kernels.json") }

func (s *aptSuite) readIndex() (suiteIndex, error) {
	var ix suiteIndex
	b, err := os.ReadFile(s.indexPath())
	if err == nil {
		err = json.Unmarshal(b, &ix)
	}
	return ix, err
}

// refresh updates the suite's index and keeps its kernels in kernels.json.
func (s *aptSuite) refresh(ctx context.Context) (suiteIndex, error) {
	ctx, cancel := context.WithTimeout(ctx, indexTimeout)
	defer cancel()
	if err := s.update(ctx); err != nil {
		return suiteIndex{}, err
	}
	packages, err := s.packages(ctx)
	if err != nil {
		return suiteIndex{}, err
	}
	ix := suiteIndex{URI: redactURI(s.uri), Updated: time.Now().UTC(), Packages: packages}
	b, err := json.MarshalIndent(ix, "", "  ")
	if err == nil {
		err = replaceSynced(s.indexPath(), append(b, '\n'))
	}
	if err != nil {
		return suiteIndex{}, fmt.Errorf("keep index of Debian %s: %w", s.suite, err)
	}
	return ix, nil
}
