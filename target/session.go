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
	"strings"
	"sync"
	"time"

	"github.com/mapprof/mapprof/internal/regularfile"
	"github.com/mapprof/mapprof/target/kernels"
	"github.com/mapprof/mapprof/target/machine"
	"github.com/mapprof/mapprof/target/qmp"
	"github.com/mapprof/mapprof/target/snapshot"
	"github.com/mapprof/mapprof/target/wire"
)

// session is one life of a VM.
type session struct {
	vm      Machine
	job     GuestJob
	out     *Outcome
	begun   Outcome // as far as it was known before
	console *console
	shared  bool // QEMU can share memory with the guest
	stops   bool // and a guest can stop its machine
	// beforeNMI is the console as it was when a hung guest was asked for its tasks.
	beforeNMI *[]byte
	// hello and done are when the guest's were read.
	hello, done time.Time
	window      *os.File
	// snap is where the booted machine is kept; nil: it is booted for this job alone.
	// restored is what it begins from, if there was one, and parcel the job.
	snap     *snapshot.Entry
	restored *snapshot.Reading
	parcel   []byte
	unlock   func() // lets others make the snapshot
	// unconfined is why QEMU runs as root, where it does; notes are other warnings.
	unconfined, notes []string
}

func (s *session) boot(ctx context.Context, qemu string, m qemuMachine) (err error) {
	release, err := s.useSnapshot(ctx, qemu, m)
	defer func() { err = errors.Join(err, release()) }()
	if err != nil {
		return err
	}
	for tries := 1; ; tries++ {
		if tries > maxBoots { // saved, and of no use each time
			_ = s.snap.SetImpossible()
			s.snap = nil
		}
		err := s.bootOnce(ctx, qemu, m)
		var otherwise *snapshotError
		switch {
		case errors.Is(err, errSaved):
			err = nil
		case !errors.As(err, &otherwise):
			return err
		case s.restored != nil: // it was of no use: another is made
			err = s.snap.Remove()
			s.note("%v; booted in place of that", otherwise)
		default: // nor will it be for any other job, which need not try
			_ = s.snap.SetImpossible()
			s.snap, err = nil, nil
		}
		if err != nil {
			return err
		}
		*s.out = s.begun
		if s.snap != nil { // else it tells why the guest did not stop
			s.console = newConsole(consoleHalf)
		}
	}
}

// bootOnce is one life of a machine, from its boot or from a snapshot.
func (s *session) bootOnce(ctx context.Context, qemu string, m qemuMachine) error {
	s.unconfined = s.unconfined[:0]
	if s.restored = nil; s.snap != nil {
		m.pause = true
		unlock, err := s.snap.Lock(ctx)
		if err != nil {
			return err
		}
		s.unlock = sync.OnceFunc(unlock)
		defer s.unlock()
		if s.restored = s.snap.Open(); s.restored != nil {
			s.unlock()
			m.incoming = true
			defer s.restored.Close()
			_, _ = s.console.Write(s.restored.Printed)
		}
	}
	var kernel, initrd *os.File
	defer func() { closeAll(kernel, initrd) }() // QEMU has its own
	if !m.incoming {
		var writing, err error
		written := make(chan struct{})
		go func() { // beside the unpacking
			defer close(written)
			initrd, writing = s.initramfs(m.kind)
		}()
		kernel, err = s.kernel(m.accel == "tcg")
		<-written
		if err := cmp.Or(writing, err); err != nil {
			return err
		}
	}
	var err error
	var ours, theirs [3]*os.File
	defer func() { closeAll(ours[:]...); closeAll(theirs[:]...) }()
	for i, name := range []string{"console", "channel", "monitor"} {
		if ours[i], theirs[i], err = socketPair(name); err != nil {
			return err
		}
	}
	// Inherited descriptors start at 3.
	m.console, m.channel, m.monitor = 3, 4, 5
	m.initrd, m.kernel = "/proc/self/fd/6", "/proc/self/fd/7"
	inherit := append(theirs[:], initrd, kernel)
	if s.shared {
		if s.window, err = memFile("mapprof-window"); err != nil {
			return err
		}
		defer s.window.Close()
		if err := s.window.Truncate(wire.WindowBytes); err != nil {
			return fmt.Errorf("create mapprof-window: %w", err)
		}
		m.window = "/proc/self/fd/8"
		inherit = append(inherit, s.window)
	}

	p, why, err := startConfined(qemu, m, inherit)
	if err != nil {
		return err
	}
	if why != "" {
		s.unconfined = append(s.unconfined, why)
	}
	defer p.kill() // on every way out, a panic included
	closeAll(theirs[:]...)
	theirs = [3]*os.File{}
	return s.follow(ctx, p, ours[0], ours[1], ours[2])
}

// kernel returns an anonymous file that holds the image: QEMU's user may not be
// able to read where it lies.
func (s *session) kernel(emulated bool) (_ *os.File, err error) {
	image, err := regularfile.Open(s.vm.Kernel.Path)
	if err != nil {
		return nil, fmt.Errorf("read kernel image: %w", err)
	}
	defer image.Close()
	f, err := memFile("mapprof-kernel")
	if err != nil {
		return nil, err
	}
	if err := kernels.Unpack(f, image, emulated); err != nil {
		f.Close()
		return nil, fmt.Errorf("read kernel image: %w", err)
	}
	return f, nil
}

// initramfs returns an anonymous file that holds the guest's file system.
func (s *session) initramfs(kind *machine.Machine) (_ *os.File, err error) {
	const self = "/proc/self/exe"
	exe, err := os.Open(cmp.Or(s.vm.Program, self))
	if err != nil {
		return nil, fmt.Errorf("write initramfs: %w", err)
	}
	defer exe.Close()
	name := cmp.Or(s.vm.Program, self)
	if n, err := os.Executable(); err == nil && name == self {
		name = n
	}
	if err := checkStatic(name, exe, kind); err != nil {
		return nil, err
	}
	f, err := memFile("mapprof-initramfs")
	if err != nil {
		return nil, err
	}
	args, files := s.job.Args, s.job.Files
	if s.snap != nil {
		args, files = nil, nil // they come later
	}
	if err := writeInitramfs(f, exe, s.vm.Root, args, files); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// follower watches one started VM.
type follower struct {
	*session
	process *process
	monitor *qmp.Monitor
	guest   *hostPort

	pausing  bool                // the guest is to stop its machine before its job
	reached  chan wire.FrameType // what the guest has come to
	received chan error          // the end of what it sends
	stop     <-chan struct{}     // nil: it can't be stopped, or was
	state    wire.FrameType      // the last that was reached
	recvErr  error
	// life ends the VM, late asks its job to end before that, boot ends one of
	// which nothing was heard.
	life, late, boot *time.Timer
}

// follow watches a started VM until it and everything around it has ended.
func (s *session) follow(ctx context.Context, p *process, console, channel, monitor *os.File) error {
	consoleEnd := make(chan struct{})
	go func() { // ends when QEMU does
		defer close(consoleEnd)
		_, _ = io.Copy(s.console, console)
	}()
	f := &follower{session: s, process: p, monitor: qmp.New(monitor), guest: &hostPort{w: channel},
		reached: make(chan wire.FrameType, 3), received: make(chan error, 1), stop: s.job.Stop,
		life: time.NewTimer(s.vm.Timeout), late: time.NewTimer(s.vm.Timeout - min(lateness, s.vm.Timeout/4)), boot: time.NewTimer(s.vm.BootTimeout)}
	defer f.life.Stop()
	defer f.late.Stop()
	defer f.boot.Stop()
	rc := &wire.Receiver{OutDir: s.job.OutDir, Limits: s.job.Limits, Event: s.job.Event,
		Progress: func(t wire.FrameType) {
			switch t {
			case wire.FrameHello:
				s.hello = time.Now()
			case wire.FrameDone:
				s.done = time.Now()
			}
			f.reached <- t
		}}
	if s.job.Committed != nil {
		rc.Committed = func() error { return s.job.Committed(s.begun) }
	}
	if s.window != nil {
		rc.Window = s.window
		rc.Taken = func() error {
			if err := f.guest.send(wire.FrameTaken); !gone(err) {
				return err
			}
			return nil // the next read is the end
		}
	}
	received := f.received
	go func() { received <- rc.Receive(fromQEMU{channel}) }() // ends when QEMU does

	var fail error
	if s.restored != nil {
		fail = f.restore(ctx)
	}
	f.pausing = s.snap != nil && s.restored == nil
	for fail == nil && f.state != wire.FrameDone {
		fail = f.next(ctx)
	}
	var hung *GuestError
	switch {
	case fail == nil:
		end(f.monitor, p)
	case errors.As(fail, &hung) && (hung.Reason == GuestHung || hung.Reason == GuestNoUserSpace):
		f.askTasks()
	}
	if !errors.Is(fail, errEndedEarly) {
		p.kill()
	}
	// QEMU is gone, so both streams end after what is still in them.
	<-consoleEnd
	if f.received != nil {
		f.recvErr = <-f.received
	}
	s.fill(rc)
	return s.verdict(fail, f.recvErr, rc, p, f.monitor)
}

// next waits for the next thing that happens to the VM, and returns why it can't
// go on.
func (f *follower) next(ctx context.Context) error {
	select {
	case t := <-f.reached:
		if f.pausing { // it has said hello instead; why is on its console
			return &snapshotError{errors.New("the guest did not stop its machine for its job")}
		}
		f.state = t
		f.boot.Stop()
	case f.recvErr = <-f.received:
		f.received = nil
		// An end is QEMU's end, which says itself why.
		var broken *wire.ChannelError
		if f.recvErr != nil && !(errors.As(f.recvErr, &broken) && broken.Ended) {
			return f.recvErr
		}
	case <-f.process.exited:
		return errEndedEarly
	case <-f.monitor.Stopped:
		if f.pausing {
			return f.paused(ctx)
		}
		// "KVM internal error" leaves it standing there.
		return &GuestError{Reason: GuestQEMUFailed, Detail: firstLine(f.process.stderr.String(), errors.New("it stopped the machine"))}
	case <-f.boot.C:
		return &GuestError{Reason: GuestNoUserSpace, Detail: fmt.Sprintf("nothing heard in %s", f.vm.BootTimeout), silent: true}
	case <-f.life.C:
		if f.state == 0 {
			return &GuestError{Reason: GuestNoUserSpace, Detail: fmt.Sprintf("nothing heard in %s", f.vm.Timeout)}
		}
		return &GuestError{Reason: GuestHung, Detail: fmt.Sprintf("not done in %s", f.vm.Timeout)}
	case <-f.stop:
		f.stop = nil
		if f.state == 0 {
			return ErrStopped // nobody listens yet, and there is nothing to keep
		}
		_ = f.guest.send(wire.FrameStop) // a dead guest is noticed otherwise
	case <-f.late.C:
		if f.stop != nil && f.state != 0 {
			f.stop, f.out.TimedOut = nil, true
			_ = f.guest.send(wire.FrameStop)
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// lateness is how long before the end of its life a job is told to end, so that
// it can still send what it has; for a short life a quarter of that.
const lateness = 30 * time.Second

// ErrStopped is returned for a job that was stopped before it could keep anything: its
// guest's user space didn't run yet, or didn't listen.
var ErrStopped = errors.New("stopped before the guest's mapprof listened")

// errEndedEarly stands for a QEMU that ended before the guest said done.
var errEndedEarly = errors.New("qemu ended early")

// end asks QEMU to quit and waits for that.
func end(q *qmp.Monitor, p *process) {
	if q.Quit(quitLimit) != nil {
		return
	}
	t := time.NewTimer(quitLimit)
	defer t.Stop()
	select {
	case <-p.exited:
	case <-t.C:
	}
}

func (s *session) fill(rc *wire.Receiver) {
	o := s.out
	o.Release, o.Build, o.Warnings = rc.Hello.Release, rc.Hello.Version, rc.Hello.Warnings
	o.ExitCode, o.Signal, o.Message = rc.Done.ExitCode, rc.Done.Signal, rc.Done.Message
	o.Files = rc.Stored
	o.Warnings = append(append(o.Warnings, s.notes...), s.unconfined...)
	if s.vm.Root != nil && s.vm.Root.LeftOut() != "" {
		o.Warnings = append(o.Warnings, s.vm.Root.LeftOut())
	}
}

// verdict turns what happened into Run's error.
func (s *session) verdict(fail, recvErr error, rc *wire.Receiver, p *process, q *qmp.Monitor) error {
	var g *GuestError
	switch {
	case fail == nil && recvErr == nil:
		if s.out.TimedOut && s.out.ExitCode != 0 {
			g = &GuestError{Reason: GuestHung, Detail: fmt.Sprintf("not done in %s", s.vm.Timeout)}
			break
		}
		if wrong := clockFault(time.Duration(rc.Done.ClockNS-rc.Hello.ClockNS), s.done.Sub(s.hello)); wrong != "" && s.vm.Clock == ClockWall {
			g = &GuestError{Reason: GuestClockWrong, Detail: wrong}
			break
		}
		if s.out.Signal == "" {
			return nil
		}
		reason, line := diagnose(s.console.Bytes())
		if reason != GuestOutOfMemory {
			return nil
		}
		g = &GuestError{Reason: reason, Detail: line}
	case fail == nil:
		return recvErr
	case errors.As(fail, &g):
	case errors.Is(fail, errEndedEarly):
		// A broken frame explains more than the end that follows it,
		// unless the kernel says why it stopped in its middle.
		reason, line := diagnose(s.console.Bytes())
		switch {
		case reason != "":
			g = &GuestError{Reason: reason, Detail: line}
		case recvErr != nil:
			return recvErr
		case rc.State != wire.FrameDone && p.err != nil:
			g = &GuestError{Reason: GuestQEMUFailed, Detail: firstLine(p.stderr.String(), p.err)}
		case rc.State == 0:
			g = &GuestError{Reason: GuestNoUserSpace, Detail: "the machine went off (" + q.ShutdownReason() + ")"}
		case rc.State == wire.FrameDone:
			return nil // it went off between done and our quit
		default:
			g = &GuestError{Reason: GuestPoweredOff, Detail: "before its job ended (" + q.ShutdownReason() + ")"}
		}
	default:
		return fail
	}
	said := s.console.Bytes()
	if s.beforeNMI != nil {
		said = *s.beforeNMI
	}
	if g.Reason == GuestHung || g.Reason == GuestNoUserSpace {
		if reason, line := diagnose(said); reason != "" {
			g = &GuestError{Reason: reason, Detail: line}
		}
	}
	g.Kernel = s.vm.Kernel.Requested
	if g.Kernel == "" {
		g.Kernel = s.vm.Kernel.Path
	}
	g.ConsoleTail = excerpt(said, 30)
	if g.Reason == GuestHung || g.Reason == GuestNoUserSpace {
		if tasks := busyTasks(s.console.Bytes()); len(tasks) > 0 {
			g.ConsoleTail = strings.Join(tasks, "\n")
		}
	}
	return g
}

// firstLine returns the first line of a program's complaint, or its exit.
func firstLine(text string, err error) string {
	for _, l := range strings.Split(text, "\n") {
		if l = wire.Printable(strings.TrimSpace(l), 300); l != "" {
			return l
		}
	}
	return err.Error()
}

// hostPort sends frames to the guest. Safe for concurrent use.
type hostPort struct {
	mu  sync.Mutex
	w   io.Writer
	seq uint32
}

func (h *hostPort) send(t wire.FrameType) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	b, err := wire.AppendFrame(nil, t, h.seq)
	if err != nil {
		return err
	}
	h.seq++
	_, err = h.w.Write(b)
	return err
}
