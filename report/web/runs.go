// SPDX-License-Identifier: Apache-2.0

package web

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mapprof/mapprof/internal/regularfile"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/internal/shownpath"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// Bounds on what the server looks at and keeps.
const (
	maxScanDepth = 4 // directories below one that was given
	maxRuns      = 2000
	maxCached    = maxCompared
)

// foundRun is a run directory that was found, as the list shows it.
type foundRun struct {
	ID   string // opaque; the same as long as the directory has its place
	Name string // relative to the directory that was given
	Err  string // why it can't be shown

	Started    time.Time
	Workloads  []string
	Kernels    []string
	Strategies []string
	MapTypes   []string
	Trials     int
	Deaths     uint64
	Shortest   int64 // p50 of limbo, over scenarios
	Longest    int64
	Bad        []string
	Warnings   int

	path   string
	stamp  string
	digest string // SHA-256 of run.json, which notes are kept by; empty: it grows
}

// runStore finds the runs under some directories, and loads them. It follows
// no symbolic link and reads nothing but regular files, so that nothing
// outside of the directories is ever shown. Its methods may be called from
// any goroutine.
type runStore struct {
	roots []string

	mu     sync.Mutex
	found  map[string]*foundRun
	loaded []cachedRun // the last used last
}

type cachedRun struct {
	id, stamp string
	run       *model.Loaded
}

// errNoRun is returned for an ID that no run has.
var errNoRun = errors.New("no such run")

func newRunStore(dirs []string) (*runStore, error) {
	s := &runStore{found: map[string]*foundRun{}}
	for _, d := range dirs {
		abs, err := filepath.Abs(d)
		if err == nil {
			// The directory itself may be a link: the user named it.
			abs, err = filepath.EvalSymlinks(abs)
		}
		if err != nil {
			return nil, fmt.Errorf("watch %s: %w", d, err)
		}
		st, err := os.Stat(abs)
		if err != nil {
			return nil, fmt.Errorf("watch %s: %w", d, err)
		}
		if !st.IsDir() {
			return nil, fmt.Errorf("watch %s: not a directory", d)
		}
		if !slices.Contains(s.roots, abs) {
			s.roots = append(s.roots, abs)
		}
	}
	return s, nil
}

// list looks for runs, and returns them, the newest first, with a name for
// this state of things.
func (s *runStore) list() ([]*foundRun, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := map[string]*foundRun{}
	for _, root := range s.roots {
		s.scan(root, root, 0, now)
	}
	s.found = now
	out := make([]*foundRun, 0, len(now))
	for _, r := range now {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *foundRun) int {
		return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	h := sha256.New()
	for _, r := range out {
		fmt.Fprintf(h, "%s %s\n", r.ID, r.stamp)
	}
	return out, hex.EncodeToString(h.Sum(nil)[:8])
}

func (s *runStore) scan(root, dir string, depth int, now map[string]*foundRun) {
	if len(now) >= maxRuns {
		return
	}
	if stamp, ok := stampOf(dir); ok {
		id := runID(dir)
		if old := s.found[id]; old != nil && old.stamp == stamp {
			now[id] = old
		} else {
			now[id] = examineRun(root, dir, id, stamp)
		}
		return
	}
	if depth == maxScanDepth {
		return
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // unreadable: nothing to show
	}
	for _, e := range entries {
		// A run that is being written is in a hidden directory.
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			s.scan(root, filepath.Join(dir, e.Name()), depth+1, now)
		}
	}
}

func runID(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:8])
}

// stampOf tells one state of a run's files from another; false where run.json is
// no regular file.
func stampOf(dir string) (string, bool) {
	var b strings.Builder
	for _, name := range results.Files() {
		st, err := os.Lstat(filepath.Join(dir, name))
		switch {
		case err == nil:
			fmt.Fprintf(&b, "%d-%d-%v ", st.ModTime().UnixNano(), st.Size(), st.Mode().Type())
		case name == results.RunFile:
			return "", false
		}
		if name == results.RunFile && !st.Mode().IsRegular() {
			return "", false
		}
	}
	return b.String(), true
}

func examineRun(root, dir, id, stamp string) *foundRun {
	name, err := filepath.Rel(root, dir)
	if err != nil || name == "." {
		name = filepath.Base(dir)
	}
	f := &foundRun{ID: id, Name: safetext.Name(name), path: dir, stamp: stamp}
	err = onlyRegular(dir)
	var r *results.Run
	if err == nil {
		r, err = results.ReadRun(dir) // the list costs no more for large runs
	}
	if err != nil {
		f.Err = safetext.Text(shownpath.In(err, dir, f.Name).Error())
		return f
	}
	f.Started, f.Warnings = r.Started, len(r.Warnings)
	if !r.Journal {
		f.digest = digestOf(filepath.Join(dir, results.RunFile))
	}
	var workloads, kernels, strategies, types distinct
	if r.Partial {
		f.Bad = append(f.Bad, "partial")
	}
	lost, unbalanced, failed := false, false, false
	for i := range r.Scenarios {
		sc := &r.Scenarios[i]
		workloads.add(sc.Workload)
		kernels.add(sc.KernelName())
		strategies.add(sc.Strategy.Requested)
		for _, m := range model.MapTypes(sc) {
			types.add(m)
		}
		lost = lost || results.LossText(sc.Loss) != "none"
		for _, t := range sc.Trials {
			f.Trials++
			lost, unbalanced = lost || t.Lost > 0, unbalanced || t.Balance() != nil
			failed = failed || len(t.Failures) > 0
		}
		if l := sc.Phases[results.PhaseLimbo]; l.N > 0 {
			f.Deaths += l.N
			if f.Shortest == 0 || l.P50NS < f.Shortest {
				f.Shortest = l.P50NS
			}
			f.Longest = max(f.Longest, l.P50NS)
		}
	}
	f.Workloads, f.Kernels, f.Strategies, f.MapTypes = workloads.list, kernels.list, strategies.list, types.list
	if lost {
		f.Bad = append(f.Bad, "loss")
	}
	if failed {
		f.Bad = append(f.Bad, "failed")
	}
	if unbalanced {
		f.Bad = append(f.Bad, "no balance")
	}
	return f
}

// digestOf is a file's SHA-256; empty: it can't be read any more.
func digestOf(path string) string {
	file, err := regularfile.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

// onlyRegular refuses a run of which a file is no regular one.
func onlyRegular(dir string) error {
	for _, name := range results.Files() {
		st, err := os.Lstat(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) && name != results.RunFile {
			continue
		}
		if err != nil {
			return fmt.Errorf("open run: %w", err)
		}
		if !st.Mode().IsRegular() {
			return fmt.Errorf("open run: %s is not a regular file (links are not followed)", name)
		}
	}
	return nil
}

// current tells whether a run's files are those that were found.
func (f *foundRun) current() bool {
	stamp, ok := stampOf(f.path)
	return ok && stamp == f.stamp
}

// problem is an error of a run's files, told without their place on this
// machine, which is none of a reader's business. A run may be removed while it
// is being read.
func (f *foundRun) problem(err error) error {
	if _, there := stampOf(f.path); !there {
		return errNoRun
	}
	return shownpath.In(err, f.path, f.Name)
}

// find returns the run with that ID, as it is now.
func (s *runStore) find(id string) (*foundRun, error) {
	s.mu.Lock()
	r := s.found[id]
	s.mu.Unlock()
	if r == nil || !r.current() {
		s.list()
		s.mu.Lock()
		r = s.found[id]
		s.mu.Unlock()
	}
	if r == nil {
		return nil, errNoRun
	}
	return r, nil
}

// load returns the run with that ID, loaded.
func (s *runStore) load(id string) (*model.Loaded, *foundRun, error) {
	f, err := s.find(id)
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range s.loaded {
		if c.id == id && c.stamp == f.stamp {
			s.loaded = append(slices.Delete(s.loaded, i, i+1), c)
			return c.run, f, nil
		}
	}
	if err := onlyRegular(f.path); err != nil {
		return nil, f, f.problem(err)
	}
	l, err := model.Load(f.path)
	if err != nil {
		return nil, f, f.problem(err)
	}
	l.Name = f.Name
	s.loaded = append(s.loaded, cachedRun{id, f.stamp, l})
	if len(s.loaded) > maxCached {
		s.loaded = slices.Delete(s.loaded, 0, 1)
	}
	return l, f, nil
}
