// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/guest"
	"github.com/mapprof/mapprof/target/kernels"
	"github.com/mapprof/mapprof/target/task"
	"github.com/mapprof/mapprof/target/wire"
)

// Target is where tasks are done: Local on this machine's kernel, VMTarget on
// kernels booted under QEMU. Another machine reached over a network would be
// one more.
type Target interface {
	// Kernels names the kernels that tasks can be done on, at least one, each
	// with a name of its own: the release, and "#2" after that of another build
	// of one release.
	Kernels() []string
	// Clock is the clock of the target, by its name in results.
	Clock() string
	// Do does one task on the kernel of that index, and returns when nothing of
	// it is left there. A task that fails is an error.
	Do(ctx context.Context, kernel int, w Work) (Done, error)
}

// Work is a task to do.
type Work struct {
	Task    string // its name among the target's handlers
	Request any    // encoded as JSON
	// Dir is where the files that the task leaves are to be; it must not exist.
	// Empty: it may leave none.
	Dir string
	// Files are more files for a VM, absolute path → content. A local target
	// refuses them.
	Files map[string][]byte
	// OnProgress is called from one goroutine; nil: nobody listens. A guest's
	// words have been made fit to be shown.
	OnProgress func(task.Progress)
	// Output takes what programs print that the task runs; nil: nobody does. From a
	// guest it has been made fit to be shown.
	Output io.Writer
	// OnCommit, if any, is called each time that Dir holds the files of a task that
	// got no further, with what is known of the machine by then. They don't change
	// meanwhile. Its error ends the task.
	OnCommit func(*Done) error
	// Stop, when closed, asks the task to end early with what it has.
	Stop <-chan struct{}
}

// Done is the result of a task.
type Done struct {
	Reply []byte // JSON
	// Outcome says how the machine ended that was booted for it. Its zero value
	// is that of a local target.
	Outcome Outcome
	kernel  *kernels.Kernel // the booted one; nil on a local target
}

// Describe completes a guest's description of its kernel with the fields that only
// the host knows: accelerator, clock, QEMU, memory, the image. The number of CPUs
// stays the guest's: its kernel may use fewer than the machine has.
func (d *Done) Describe(t *results.Target) {
	if d.kernel == nil {
		return
	}
	o := &d.Outcome
	t.Kind, t.Accel, t.Clock, t.QEMU = "vm", o.Accel, o.Clock, o.QEMU
	t.Arch, t.MemoryBytes = d.kernel.Arch, o.MemoryBytes
	t.Kernel.Requested, t.Kernel.SHA256 = d.kernel.Requested, d.kernel.SHA256
}

// Call does a task and decodes its reply.
func Call[Reply any](ctx context.Context, t Target, kernel int, w Work) (Reply, Done, error) {
	var reply Reply
	done, err := t.Do(ctx, kernel, w)
	if err != nil {
		return reply, done, err
	}
	if err := json.Unmarshal(done.Reply, &reply); err != nil {
		return reply, done, fmt.Errorf("read what the task %s gave: %w", w.Task, err)
	}
	return reply, done, nil
}

// Local is this machine's kernel. Tasks are done in this process.
type Local struct {
	Release  string // of the kernel
	Handlers task.Handlers
}

// Kernels implements Target.
func (l Local) Kernels() []string { return []string{l.Release} }

// Clock implements Target.
func (l Local) Clock() string { return results.ClockWall }

// Do implements Target.
func (l Local) Do(ctx context.Context, _ int, w Work) (Done, error) {
	if len(w.Files) > 0 {
		return Done{}, errors.New("do task: a local target takes no files")
	}
	ctx, cancel := task.UntilStopped(ctx, w.Stop)
	defer cancel()
	request, err := json.Marshal(w.Request)
	if err != nil {
		return Done{}, fmt.Errorf("do task: %w", err)
	}
	env := &task.Env{Dir: w.Dir, OnProgress: w.progress, Programs: w.Output}
	if w.OnCommit != nil {
		return l.doCommitting(ctx, w, env, request)
	}
	reply, err := l.Handlers.Do(ctx, w.Task, env, request)
	return Done{Reply: reply}, err
}

func (w *Work) progress(p task.Progress) {
	if w.OnProgress != nil {
		w.OnProgress(p)
	}
}

// decodeProgress reads what a guest says of its progress.
func decodeProgress(payload []byte) (p task.Progress, ok bool) {
	if json.Unmarshal(payload, &p) != nil {
		return task.Progress{}, false
	}
	p.Stage = safetext.Name(p.Stage)
	return p, true
}

// How many words of its progress a guest may say: at once, and then a second.
// Each may become a line on a terminal. A trial says some ten and then one a
// second.
const (
	progressBurst     = 100
	progressPerSecond = 10
)

// progressRate is what a guest has left of that.
type progressRate struct {
	left float64
	at   time.Time
}

func (p *progressRate) take(now time.Time) bool {
	if !p.at.IsZero() {
		p.left = min(progressBurst, p.left+progressPerSecond*now.Sub(p.at).Seconds())
	}
	p.at = now
	if p.left < 1 {
		return false
	}
	p.left--
	return true
}

// maxReply bounds what a guest's reply may take here.
const maxReply = 16 << 20

// VM is kernels booted under QEMU: each task is a boot of its own.
type VM struct {
	Machine Machine            // to boot on; its Kernel is set for each task
	Images  []kernels.Kernel   // at least one
	Modules [][]kernels.Module // for each image, to be loaded in this order; nil: none
	// Programs are paths of mapprof by architecture; none: this program.
	Programs map[string]string
	// Limits bound what a guest may send; Names are results.Files() unless set.
	Limits wire.Limits

	reboots atomic.Int64 // of the tasks that were done
}

// Kernels implements Target.
func (v *VM) Kernels() []string {
	names := make([]string, len(v.Images))
	seen := map[string]int{}
	for i, k := range v.Images {
		names[i] = k.Release
		if seen[k.Release]++; seen[k.Release] > 1 {
			// Two builds of one release: the developer's before and after.
			names[i] += fmt.Sprintf("#%d", seen[k.Release])
		}
	}
	return names
}

// Clock implements Target.
func (v *VM) Clock() string {
	if v.Machine.Clock == "" {
		return results.ClockWall
	}
	return v.Machine.Clock
}

// Do implements Target. It boots this same binary as the guest's init, which
// must serve the task (ServeGuest).
func (v *VM) Do(ctx context.Context, kernel int, w Work) (Done, error) {
	request, err := json.Marshal(w.Request)
	if err != nil {
		return Done{}, fmt.Errorf("do task: %w", err)
	}
	machine := v.Machine
	machine.Kernel = v.Images[kernel]
	machine.Program = v.Programs[machine.Kernel.Arch]
	job := GuestJob{
		Args: []string{guest.Command, w.Task}, Files: map[string][]byte{guest.RequestFile: request},
		OutDir: w.Dir, Limits: v.Limits, Stop: w.Stop, Reboots: int(v.reboots.Load()),
	}
	if job.Limits.Names == nil {
		job.Limits.Names = results.Files()
	}
	if w.OnCommit != nil {
		job.Committed = func(o Outcome) error { return w.OnCommit(&Done{Outcome: o, kernel: &machine.Kernel}) }
	}
	for path, data := range w.Files {
		job.Files[path] = data
	}
	if v.Modules != nil {
		for i, m := range v.Modules[kernel] {
			job.Files[fmt.Sprintf("%s/%04d-%s.ko", guest.ModulesDir, i, m.Name)] = m.Data
		}
	}
	if w.Dir != "" {
		if err := os.Mkdir(w.Dir, 0o700); err != nil {
			return Done{}, fmt.Errorf("do task: %w", err)
		}
	}
	w.progress(task.Progress{Stage: "boot"}) // until the guest's own stages begin
	done := Done{kernel: &machine.Kernel}
	passed, printed := progressRate{left: progressBurst}, guestOutput{left: guest.MaxOutput}
	job.Event = func(kind string, payload []byte) {
		switch kind {
		case guest.EventReply: // of the last boot, where there were several
			done.Reply = bytes.Clone(payload)
		case guest.EventReplyMore:
			if len(done.Reply) <= maxReply {
				done.Reply = append(done.Reply, payload...)
			}
		case guest.EventOutput:
			printed.print(w.Output, payload)
		case guest.EventProgress:
			if p, ok := decodeProgress(payload); ok && passed.take(time.Now()) {
				w.progress(p)
			}
		}
	}
	done.Outcome, err = machine.Run(ctx, job)
	v.reboots.Add(int64(done.Outcome.Reboots))
	switch {
	case err != nil:
		return done, err
	case done.Outcome.ExitCode != 0:
		return done, jobFault(&done.Outcome)
	case len(done.Reply) > maxReply:
		return done, fmt.Errorf("the guest's mapprof gave more than %d MiB", maxReply>>20)
	case done.Reply == nil:
		return done, errors.New("the guest's mapprof gave nothing")
	}
	return done, nil
}

// jobFault is what made a guest's mapprof fail.
func jobFault(o *Outcome) error {
	if o.ExitCode == 128+int(unix.SIGINT) && o.Message == "" {
		return ErrStopped // it was told to stop before it listened
	}
	return fmt.Errorf("the guest's mapprof failed: %s", cmp.Or(strings.TrimPrefix(o.Message, "mapprof: "), fmt.Sprintf("exit code %d", o.ExitCode)))
}
