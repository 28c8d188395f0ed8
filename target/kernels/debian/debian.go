// SPDX-License-Identifier: Apache-2.0

//go:build linux

package debian

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/mapprof/mapprof/target/kernels"
	"github.com/mapprof/mapprof/target/machine"
)

// debianSuites are searched for kernels.
var debianSuites = []string{
	"bullseye", "bullseye-security",
	"bookworm", "bookworm-updates", "bookworm-security", "bookworm-backports",
	"trixie", "trixie-updates", "trixie-security", "trixie-backports",
}

const (
	// aptParallel limits how many suites are updated at a time.
	aptParallel = 4
	// indexTimeout bounds the update of one suite at one mirror.
	indexTimeout = 5 * time.Minute
)

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

// suiteIndex is kernels.json, kept beside apt's state of each suite.
type suiteIndex struct {
	URI      string            `json:"uri"`
	Updated  time.Time         `json:"updated"`
	Packages []kernels.Package `json:"packages"`
	Modules  []kernels.Package `json:"modules,omitempty"`
}

// fresh also distrusts an index from the future: the clock was wrong once.
func (ix suiteIndex) fresh(maxAge time.Duration) bool {
	age := time.Since(ix.Updated)
	return age >= -time.Hour && age < maxAge
}

// Archive is Debian's archive as a source of kernels: packages of its suites, by
// way of apt, the host's apt configuration left alone.
type Archive struct{}

// Name implements Source.
func (Archive) Name() string { return "Debian" }

// Index implements Source: the kernels of every suite, those suites updated
// whose index is older than maxAge. It fails only if no suite at all could be
// searched.
func (Archive) Index(ctx context.Context, o kernels.IndexOptions) (*kernels.Index, error) {
	tools, err := findApt()
	if err != nil {
		return nil, err
	}
	kind, err := machine.Of(o.Arch)
	if err != nil {
		return nil, err
	}
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
			r.suite, r.ix, r.err = suiteIndexOf(ctx, tools, o.Dir, suite, kind, mirrors.forSuite(suite), o.MaxAge, func() {
				once.Do(func() { o.Say("updating the index of Debian's kernels") })
			})
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("update index of kernels: %w", err)
	}

	suites := map[string]*aptSuite{}
	ix := &kernels.Index{Download: func(ctx context.Context, p kernels.Package, dir string) (string, error) {
		return suites[p.Suite].download(ctx, p, dir)
	}}
	var firstErr error
	for i, r := range results {
		suite := debianSuites[i]
		if r.err != nil {
			firstErr = cmp.Or(firstErr, r.err)
			var se *SignatureError
			if errors.As(r.err, &se) {
				ix.Signature = r.err
			}
			note := fmt.Sprintf("suite %s not searched: %v", suite, r.err)
			if r.suite != nil {
				note = fmt.Sprintf("suite %s as of %s: %v", suite, r.ix.Updated.Format(time.DateTime), r.err)
			}
			ix.Notes = append(ix.Notes, note)
		}
		if r.suite == nil {
			ix.Missing = append(ix.Missing, suite)
			continue
		}
		suites[suite] = r.suite
		for _, p := range r.ix.Packages {
			p.Rank, p.Arch = packageRank(p.Name), kind.Arch
			ix.Packages = append(ix.Packages, p)
		}
		ix.Modules = append(ix.Modules, r.ix.Modules...)
		ix.Age = max(ix.Age, time.Since(r.ix.Updated))
	}
	switch {
	case len(suites) > 0:
		return ix, nil
	case ix.Signature != nil:
		return nil, ix.Signature
	}
	return nil, &AptError{Action: "update index of kernels", Err: firstErr,
		Hint: "check the network and apt's proxy settings, or give --kernel the path to a bzImage or a .deb"}
}

// suiteIndexOf returns one suite's kernels, from the first mirror that has it.
// If no mirror can be reached an older index serves, and err says why; if a
// signature was wrong, none does.
func suiteIndexOf(ctx context.Context, tools *apt, dir, suite string, kind *machine.Machine, uris []string, maxAge time.Duration, updating func()) (*aptSuite, suiteIndex, error) {
	states := make([]*aptSuite, len(uris))
	for i, uri := range uris {
		states[i] = &aptSuite{apt: tools, suite: suite, arch: kind.Arch, uri: uri, dir: filepath.Join(dir, "apt", suite+"-"+shortDigest(uri)+kind.CacheSuffix)}
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

func init() { kernels.Register(Archive{}) }

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
	packages, modules, err := s.packages(ctx)
	if err != nil {
		return suiteIndex{}, err
	}
	ix := suiteIndex{URI: redactURI(s.uri), Updated: time.Now().UTC(), Packages: packages, Modules: modules}
	b, err := json.MarshalIndent(ix, "", "  ")
	if err == nil {
		err = kernels.ReplaceFile(s.indexPath(), append(b, '\n'))
	}
	if err != nil {
		return suiteIndex{}, fmt.Errorf("keep index of Debian %s: %w", s.suite, err)
	}
	return ix, nil
}
