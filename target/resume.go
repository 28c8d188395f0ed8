// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/mapprof/mapprof/internal/regularfile"
	"github.com/mapprof/mapprof/target/guest"
	"github.com/mapprof/mapprof/target/kernels"
	"github.com/mapprof/mapprof/target/snapshot"
	"github.com/mapprof/mapprof/target/wire"
)

// A guest's boot is the same for every job until its init reads one. So the init stops
// its machine there, by an instruction of its own: at the same one each time. QEMU saves
// the machine as it would to move it to another host ("migrate"), and the next one of
// the same image, program and machine begins there. On the clock of instructions such a
// guest does what one does that has booted, to the instruction.

// saveLimit bounds how long QEMU may take to save a machine, or to have one again.
const saveLimit = time.Minute

// snapshotError is a machine that could not begin from a snapshot, or not be stopped
// for one: it is booted otherwise.
type snapshotError struct{ err error }

func (e *snapshotError) Error() string { return e.err.Error() }

// pauses tells whether a machine's guest stops it before the job, and keeps whether
// other runs may begin there.
func (vm *Machine) pauses(accel string) (pause, keeps bool) {
	boot := cmp.Or(vm.Boot, os.Getenv(bootVariable))
	if vm.Root != nil || vm.Successor || accel != "tcg" {
		return false, false
	}
	// On the clock of instructions a guest pauses in any case: its figures are the same
	// with and without what the cache has.
	return boot == BootSnapshot || vm.Clock == ClockICount, boot != BootFresh
}

// useSnapshot settles whether the machine begins from a snapshot, and from which.
// release ends the use of it.
func (s *session) useSnapshot(ctx context.Context, qemu string, m qemuMachine) (release func() error, err error) {
	release = func() error { return nil }
	pause, keeps := s.vm.pauses(m.accel)
	if !pause || !s.shared || !s.stops || len(s.job.Args) == 0 {
		return release, nil
	}
	date := time.Time{}
	if m.clock == ClockWall { // the machine may have stood still since
		date = time.Now()
	}
	parcel, err := guest.Pack(s.job.Args, s.job.Files, date)
	if err != nil || parcel == nil {
		return release, err
	}
	var dir string
	if keeps {
		c, err := kernels.OpenCache(kernels.Options{})
		if err != nil {
			return release, err
		}
		dir = filepath.Join(c.Dir, "snapshots")
	} else {
		scratch, err := NewScratch()
		if err != nil {
			return release, err
		}
		dir, release = scratch.Dir, scratch.Close
	}
	store, err := snapshot.Open(dir)
	if err != nil {
		return release, err
	}
	program, err := contentOf(ctx, cmp.Or(s.vm.Program, "/proc/self/exe"))
	if err != nil {
		return release, fmt.Errorf("read the guest's mapprof: %w", err)
	}
	image, err := contentOf(ctx, s.vm.Kernel.Path)
	if err != nil {
		return release, fmt.Errorf("read kernel image: %w", err)
	}
	host := ""
	if m.clock == ClockWall { // its guest knows how fast this host's counter runs
		host, m.tscKHz = hostBootID(), 0
	}
	m.pause = true
	from := append([]string{fileIdentity(qemu), s.out.QEMU, host, image, program}, m.args()...)
	if entry := store.Entry(from...); !entry.Impossible() {
		s.snap, s.parcel = entry, parcel
	}
	return release, nil
}

var contents sync.Map // fileIdentity → SHA-256

// contentOf is the SHA-256 of a file, read once as long as it does not change.
func contentOf(ctx context.Context, path string) (string, error) {
	f, err := regularfile.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	id := fileIdentity(path)
	if sum, ok := contents.Load(id); ok {
		return sum.(string), nil
	}
	sum, err := kernels.HashFile(ctx, f)
	if err == nil {
		contents.Store(id, sum)
	}
	return sum, err
}

// restore waits until QEMU has the machine from the snapshot, and lets it go on.
func (f *follower) restore(ctx context.Context) error {
	var vm struct{ Status string }
	err := f.move(ctx, "migrate-incoming", func(stream *os.File) error {
		_, err := io.Copy(stream, f.restored)
		return errors.Join(err, stream.Close())
	}, func() error {
		return f.poll(ctx, "query-status", &vm, func() bool { return vm.Status != "inmigrate" })
	})
	if err != nil {
		err = cmp.Or(f.complaint(), err)
	} else {
		err = f.restored.Whole()
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return &snapshotError{fmt.Errorf("begin from a snapshot: %w", err)}
	}
	return f.goOn()
}

// complaint is what QEMU has said; nil: nothing.
func (f *follower) complaint() error {
	if said := f.process.stderr.String(); said != "" {
		return errors.New(firstLine(said, nil))
	}
	return nil
}

// note is a warning of how the machine began.
func (s *session) note(format string, args ...any) {
	s.notes = append(s.notes, wire.Printable(fmt.Sprintf(format, args...), 300))
}

// errSaved is a machine that was saved, and begins from that as all after it.
var errSaved = errors.New("saved")

// paused saves the machine that its guest has stopped, and goes on with it. That it can't
// be saved is no reason not to. On the deterministic clock the machine begins from what was
// saved instead, as all after it will, to the instruction.
func (f *follower) paused(ctx context.Context) error {
	f.pausing = false
	err := f.save(ctx)
	f.unlock()
	switch {
	case err == nil && f.vm.Clock == ClockICount:
		return errSaved
	case ctx.Err() != nil:
		return cmp.Or(err, context.Cause(ctx))
	case err != nil:
		f.note("the booted machine is not kept for the next run: %v", err)
	}
	return f.goOn()
}

func (f *follower) save(ctx context.Context) error {
	w, err := f.snap.Create()
	if err != nil {
		return err
	}
	var saving struct {
		Status string
		Error  string `json:"error-desc"`
	}
	// The machine stands still: there is no need to spare the stream.
	err = f.monitor.Ask("migrate-set-parameters", map[string]any{"max-bandwidth": 1 << 40}, nil, quitLimit)
	if err == nil {
		err = f.move(ctx, "migrate", func(stream *os.File) error {
			_, err := io.Copy(w, stream)
			return err
		}, func() error {
			return f.poll(ctx, "query-migrate", &saving, func() bool {
				return saving.Status == "completed" || saving.Status == "failed" || saving.Status == "cancelled"
			})
		})
	}
	if err == nil && saving.Status != "completed" {
		err = fmt.Errorf("save the machine: %s: %s", saving.Status, saving.Error)
	}
	if err != nil {
		return errors.Join(err, w.Drop())
	}
	return w.Keep(f.console.Bytes())
}

// move has QEMU read or write the machine's state by a stream, of which copy does the
// other end, until await returns.
func (f *follower) move(ctx context.Context, command string, copy func(*os.File) error, await func() error) error {
	ours, theirs, err := socketPair("state")
	if err != nil {
		return err
	}
	defer ours.Close()
	err = f.monitor.Give("state", theirs, quitLimit)
	theirs.Close()
	if err == nil {
		err = f.monitor.Ask(command, map[string]any{"uri": "fd:state"}, nil, quitLimit)
	}
	if err != nil {
		return err
	}
	copied := make(chan error, 1)
	go func() {
		err := copy(ours)
		if err != nil {
			ours.Close() // QEMU needn't go on: a disk is full
		}
		copied <- err
	}()
	if err := await(); err != nil {
		ours.Close() // QEMU may hold its end still
		<-copied
		return err
	}
	return <-copied
}

// goOn gives the guest its job and lets the machine run.
func (f *follower) goOn() error {
	if err := wire.WriteParcel(f.window, f.parcel); err != nil {
		return err
	}
	return f.monitor.Command("cont", quitLimit)
}

// poll asks QEMU until it answers what was waited for.
func (f *follower) poll(ctx context.Context, command string, answer any, done func() bool) error {
	limit := time.NewTimer(saveLimit)
	defer limit.Stop()
	often := time.NewTicker(5 * time.Millisecond)
	defer often.Stop()
	for {
		if err := f.monitor.Ask(command, nil, answer, quitLimit); err != nil {
			return err
		}
		if done() {
			return nil
		}
		select {
		case <-often.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-f.process.exited:
			return errEndedEarly
		case <-limit.C:
			return fmt.Errorf("ask qemu to %s: not done in %s", command, saveLimit)
		}
	}
}
