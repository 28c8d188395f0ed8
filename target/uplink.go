// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/task"
)

// doCommitting does a task whose results are looked at while it runs, as those of a
// guest are.
func (l Local) doCommitting(ctx context.Context, w Work, env *task.Env, request []byte) (Done, error) {
	if err := os.Mkdir(w.Dir, 0o700); err != nil {
		return Done{}, fmt.Errorf("do task: %w", err)
	}
	up := &localUplink{dir: w.Dir, sizes: map[string]int64{}, onCommit: func() error { return w.OnCommit(&Done{}) }}
	env.Dir, env.Uplink = w.Dir+".last", up
	reply, err := l.Handlers.Do(ctx, w.Task, env, request)
	if err == nil {
		err = up.take(env.Dir)
	}
	if err == nil {
		return Done{Reply: reply}, os.RemoveAll(env.Dir)
	}
	var done Done
	if up.commits > 0 {
		done.Outcome.Files = results.Files()
	}
	return done, errors.Join(err, up.drop())
}

// localUplink is the task.Uplink of a task in this process.
type localUplink struct {
	dir      string
	onCommit func() error

	mu      sync.Mutex       // one file at a time
	sizes   map[string]int64 // of the files in parts, at the last commit
	commits int
}

// Part implements task.Uplink.
func (u *localUplink) Part(name string) (io.WriteCloser, error) {
	u.mu.Lock()
	f, err := os.OpenFile(filepath.Join(u.dir, name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		u.mu.Unlock()
		return nil, fmt.Errorf("keep a part of %s: %w", name, err)
	}
	if _, ok := u.sizes[name]; !ok {
		u.sizes[name] = 0
	}
	return &localPart{f, u}, nil
}

type localPart struct {
	*os.File
	uplink *localUplink
}

// Close ends the part.
func (p *localPart) Close() error {
	defer p.uplink.mu.Unlock()
	return p.File.Close()
}

// Commit implements task.Uplink.
func (u *localUplink) Commit(dir string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.take(dir); err != nil {
		return err
	}
	for name := range u.sizes {
		info, err := os.Stat(filepath.Join(u.dir, name))
		if err != nil {
			return fmt.Errorf("keep %s: %w", name, err)
		}
		u.sizes[name] = info.Size()
	}
	u.commits++
	return u.onCommit()
}

// take moves the files of a run directory.
func (u *localUplink) take(dir string) error {
	for _, name := range results.Files() {
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(u.dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("keep %s: %w", name, err)
		}
	}
	return nil
}

// drop takes back the parts that no commit came after.
func (u *localUplink) drop() error {
	var errs []error
	for name, size := range u.sizes {
		errs = append(errs, os.Truncate(filepath.Join(u.dir, name), size))
	}
	return errors.Join(errs...)
}
