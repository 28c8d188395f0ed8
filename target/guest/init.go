// SPDX-License-Identifier: Apache-2.0

//go:build linux

package guest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mapprof/mapprof/internal/ktime"
	"github.com/mapprof/mapprof/target/machine"
	"github.com/mapprof/mapprof/target/wire"
	"golang.org/x/sys/unix"
)

const (
	// Marker is put on the kernel's command line; the kernel hands
	// what it does not know and looks like an assignment to init as its
	// environment.
	Marker = "MAPPROF_GUEST"
	// guestJobFD tells the job's process which descriptor is its channel.
	guestJobFD = "MAPPROF_GUEST_FD"
	// ArgvFile holds the job's argv, as JSON, in the initramfs.
	ArgvFile = "/mapprof/argv.json"

	// InitFile is this binary in the initramfs, RootInitFile where the user's root has
	// an /init of its own.
	InitFile     = "/init"
	RootInitFile = "/mapprof/init"

	// ModulesDir has the kernel modules to be loaded, in the order of their names.
	ModulesDir = "/mapprof/modules"

	// What Marker is set to: mapprof stays PID 1, or another program succeeds it, or
	// mapprof stays and stops the machine before it has a job.
	MarkAlone     = "1"
	MarkSuccessor = "successor"
	MarkPause     = "pause"
)

// Running tells whether this process is PID 1 of a VM that mapprof started.
func Running() bool {
	mark := os.Getenv(Marker)
	return os.Getpid() == 1 && slices.Contains([]string{MarkAlone, MarkSuccessor, MarkPause}, mark)
}

// InJob tells whether this process is the job of such a VM.
func InJob() bool { return os.Getenv(guestJobFD) != "" }

// Init is the life of PID 1 and returns only when not Running: mount
// what a program expects, run the job as a child, pass its frames on, report
// how it ended, power off. It is called first thing in main.
//
// Where another program is to be PID 1, a child of this process does all that, and this
// process waits for that program.
//
// The job is a new exec of this binary: cilium/ebpf reads /proc and /sys in
// package initialisers and caches failures, which in PID 1 come before the
// mounts and in the child after them.
func Init() {
	successor, child := keeperSocket()
	if !Running() && !child {
		return
	}
	defer powerOff()
	if !child && os.Getenv(Marker) == MarkSuccessor {
		if err := awaitSuccessor(); err != nil {
			fmt.Fprintln(os.Stderr, "mapprof init:", err)
		}
		return
	}
	g := &initProcess{successor: successor}
	defer func() {
		if r := recover(); r != nil {
			msg := fmt.Sprintf("panic in the guest's init: %v\n%s", r, debug.Stack())
			fmt.Fprintln(os.Stderr, msg)
			g.sendDone(wire.GuestDone{ExitCode: 1, Message: tail(msg, 4096)})
		}
	}()
	if err := g.run(); err != nil {
		fmt.Fprintln(os.Stderr, "mapprof init:", err)
		g.sendDone(wire.GuestDone{ExitCode: 1, Message: "guest: " + err.Error()})
	}
}

type initProcess struct {
	port *os.File
	// successor is the job's way to PID 1, where that isn't this process; or -1.
	successor int
	early     *jobProcess  // waits for the job, where it was started before there was one
	pid       atomic.Int64 // of the job while it runs
	stop      atomic.Bool  // the host asked for the end
	mu        sync.Mutex   // of what follows
	seq       uint32
	buf       []byte
	done      bool
	window    *window // nil: file bytes go over the port
	warnings  []string
}

func (g *initProcess) run() error {
	g.mount()
	g.limits()
	g.window = openWindow()
	var unusable error // what the host has left for this guest
	if os.Getenv(Marker) == MarkPause {
		unusable = g.pauseForJob()
	}
	var err error
	if g.port, err = openPort(machine.Here()); err != nil {
		return err
	}
	go g.commands()
	hello := wire.GuestHello{Warnings: g.warnings, ClockNS: ktime.Now()}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		hello.Release = unix.ByteSliceToString(u.Release[:])
		hello.Version = unix.ByteSliceToString(u.Version[:])
	}
	b, err := json.Marshal(hello)
	if err != nil {
		return err
	}
	if err := g.send(wire.FrameHello, b); err != nil {
		return err
	}
	if unusable != nil {
		return unusable
	}
	argv, err := readArgv()
	if err != nil {
		return err
	}
	if len(argv) == 0 { // only asked whether this kernel boots
		g.sendDone(wire.GuestDone{})
		return nil
	}
	if err := loadModules(); err != nil {
		return err
	}
	d, err := g.job(argv)
	if err != nil {
		return err
	}
	g.sendDone(d)
	return nil
}

// openPort opens a machine's serial port for the channel raw.
func openPort(m *machine.Machine) (*os.File, error) {
	path := m.Channel
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open channel %s: %w (this kernel needs %s)", path, err, m.Needs)
	}
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err == nil {
		t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
		t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200
		t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
		t.Ispeed, t.Ospeed = unix.B115200, unix.B115200
		err = unix.IoctlSetTermios(fd, unix.TCSETS, t)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("set up channel %s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

func (g *initProcess) send(t wire.FrameType, payload ...[]byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.port == nil || g.done {
		return errors.New("send frame: the channel is closed")
	}
	b, err := wire.AppendFrame(g.buf[:0], t, g.seq, payload...)
	if err != nil {
		return err
	}
	g.buf = b
	g.seq++
	g.done = t == wire.FrameDone
	_, err = g.port.Write(b)
	return err
}

func (g *initProcess) sendDone(d wire.GuestDone) {
	d.Message = strings.ToValidUTF8(tail(d.Message, 4096), "?")
	d.ClockNS = ktime.Now()
	b, err := json.Marshal(d)
	if err == nil {
		err = g.send(wire.FrameDone, b)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mapprof init: report the end:", err)
		return
	}
	// The host switches the machine off as soon as it has read this frame,
	// after it asked QEMU for the instruction count.
	for {
		time.Sleep(time.Hour)
	}
}

// jobProcess is the job of this guest under way.
type jobProcess struct {
	pid     int
	channel int // our end of what it sends
	output  int // our end of its standard output and error
}

// job runs the job to its end and passes on what it sends.
func (g *initProcess) job(argv []string) (wire.GuestDone, error) {
	if err := g.send(wire.FrameStarted); err != nil {
		return wire.GuestDone{}, err
	}
	p, err := g.jobOf(argv)
	if err != nil {
		return wire.GuestDone{}, err
	}
	g.pid.Store(int64(p.pid))
	if g.stop.Load() { // asked before there was a process to tell
		_ = syscall.Kill(p.pid, syscall.SIGINT)
	}
	out := &tailBuffer{}
	outEnd := make(chan struct{})
	go func() {
		defer close(outEnd)
		r := os.NewFile(uintptr(p.output), "job output")
		_, _ = io.Copy(io.MultiWriter(out, os.Stderr), r)
	}()
	status, err := g.follow(p)
	if errors.Is(err, errJobDone) {
		return wire.GuestDone{}, nil // how it ended afterwards is nobody's concern
	} else if err != nil {
		return wire.GuestDone{}, err
	}
	<-outEnd
	return doneOf(status, out), nil
}

// startJob starts this binary again, with a channel and pipes.
func (g *initProcess) startJob(argv []string) (jobProcess, error) {
	fail := func(err error) (jobProcess, error) { return jobProcess{}, fmt.Errorf("start job: %w", err) }
	// Sequenced packets: a job that dies in the middle of a message leaves
	// no half of it behind.
	sp, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	_ = unix.SetsockoptInt(sp[1], unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 1<<20)
	var ep [2]int
	if err := unix.Pipe2(ep[:], unix.O_CLOEXEC); err != nil {
		return fail(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return fail(err)
	}
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fail(err)
	}
	attr := &syscall.ProcAttr{
		Dir:   "/tmp",
		Env:   []string{"PATH=/", "HOME=/tmp", "TMPDIR=/tmp", guestJobFD + "=3"},
		Files: []uintptr{null.Fd(), uintptr(ep[1]), uintptr(ep[1]), uintptr(sp[1])},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	}
	name := "mapprof"
	if g.successor >= 0 {
		name = survivorName
		attr.Files = append(attr.Files, uintptr(g.successor))
		attr.Env = append(attr.Env, successorFD+"=4")
		attr.Sys.Unshareflags = unix.CLONE_NEWNS // what the successor mounts and unmounts isn't ours
	}
	pid, err := syscall.ForkExec(self, append([]string{name}, argv...), attr)
	unix.Close(sp[1])
	unix.Close(ep[1])
	if g.successor >= 0 {
		unix.Close(g.successor)
	}
	null.Close()
	if err != nil {
		return fail(err)
	}
	return jobProcess{pid: pid, channel: sp[0], output: ep[0]}, nil
}

// follow relays what the job sends until it has ended. errJobDone tells that it
// said so itself.
func (g *initProcess) follow(p jobProcess) (status syscall.WaitStatus, err error) {
	relayEnd := make(chan error, 1)
	go func() { relayEnd <- g.relay(p.channel) }()
	reaped := make(chan syscall.WaitStatus, 1)
	go func() { reaped <- reap(p.pid) }()
	select {
	case status = <-reaped:
	case err := <-relayEnd:
		if errors.Is(err, errJobDone) {
			return status, err
		}
		relayEnd <- err
		status = <-reaped
	}
	g.pid.Store(0)
	// The job's children may hold both ends open; nothing of theirs counts.
	// No timer guards what follows, the host's does: with -icount an idle
	// guest's seconds pass at once while the host still reads.
	everyone := -1
	if g.successor >= 0 { // PID 1 may end when its children do, and the kernel panics
		everyone = -p.pid
	}
	_ = unix.Kill(everyone, unix.SIGKILL)
	return status, <-relayEnd
}

// doneOf says how a job ended, with the end of its output where it failed.
func doneOf(status syscall.WaitStatus, out *tailBuffer) wire.GuestDone {
	d := wire.GuestDone{ExitCode: status.ExitStatus()}
	if status.Signaled() {
		d.ExitCode = 128 + int(status.Signal())
		d.Signal = status.Signal().String()
	}
	if d.ExitCode != 0 {
		d.Message = out.String()
	}
	return d
}

// reap waits for pid, and for every orphan that ends before it.
func reap(pid int) syscall.WaitStatus {
	for {
		var ws syscall.WaitStatus
		got, err := syscall.Wait4(-1, &ws, 0, nil)
		if got == pid && (ws.Exited() || ws.Signaled()) {
			return ws
		}
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return 0xff << 8 // no such child any more: say so with an exit code
		}
	}
}

// errJobDone is a job that said so before it ended.
var errJobDone = errors.New("the job is done")

// relay passes the job's messages on as frames: one byte of type, payload.
func (g *initProcess) relay(fd int) error {
	defer unix.Close(fd)
	buf, rights := make([]byte, 1+wire.MaxPayload), make([]byte, unix.CmsgSpace(4))
	for {
		// A descriptor that comes along stays open: nobody closes it.
		n, _, flags, _, err := unix.Recvmsg(fd, buf, rights, unix.MSG_CMSG_CLOEXEC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("pass on the job's results: %w", err)
		case n == 0:
			return nil
		case flags&unix.MSG_TRUNC != 0:
			return fmt.Errorf("pass on the job's results: a message of more than %d bytes", wire.MaxPayload)
		}
		t := wire.FrameType(buf[0])
		if t == holdMessage {
			continue
		}
		if t == wire.FrameDone {
			if err := g.flush(); err != nil {
				return err
			}
			return errJobDone
		}
		if !t.FromJob() {
			return fmt.Errorf("pass on the job's results: %s frame", t)
		}
		if t == wire.FrameFileData && g.window != nil {
			if len(g.window.mem)-g.window.used < n-1 {
				if err := g.flush(); err != nil {
					return err
				}
			}
			g.window.add(buf[1:n])
			continue
		}
		if err := errors.Join(g.flush(), g.send(t, buf[1:n])); err != nil {
			return err
		}
	}
}

// flush announces what is in the window and waits until the host has it.
func (g *initProcess) flush() error {
	if g.window == nil || g.window.used == 0 {
		return nil
	}
	if err := g.send(wire.FrameFileWindow, g.window.announce()); err != nil {
		return err
	}
	<-g.window.taken
	return nil
}

// commands obeys the host: stop makes the job end as Ctrl-C would.
func (g *initProcess) commands() {
	fr := wire.NewFrameReader(g.port)
	for {
		t, _, err := fr.Next()
		if err != nil {
			return
		}
		switch t {
		case wire.FrameStop:
			g.stop.Store(true)
			if pid := g.pid.Load(); pid != 0 {
				_ = syscall.Kill(int(pid), syscall.SIGINT)
			}
		case wire.FrameTaken:
			if g.window != nil {
				g.window.taken <- struct{}{}
			}
		}
	}
}

func powerOff() {
	signal.Reset()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	// Without ACPI there is no power-off; with -no-reboot this ends QEMU.
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	select {}
}

// tailBuffer keeps the last 4 KiB or so of a stream.
type tailBuffer struct {
	mu sync.Mutex
	b  []byte
}

func (t *tailBuffer) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > 8192 {
		t.b = append(t.b[:0], t.b[len(t.b)-4096:]...)
	}
	return len(p), nil
}

func (t *tailBuffer) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.b))
}

func tail(s string, n int) string {
	if len(s) > n {
		return s[len(s)-n:]
	}
	return s
}

// jobFD returns the descriptor that the job's process inherited.
func jobFD() (int, error) {
	v := os.Getenv(guestJobFD)
	fd, err := strconv.Atoi(v)
	if err != nil || fd < 3 {
		return -1, fmt.Errorf("open guest channel: %s=%q is no descriptor (only a VM's job has one)", guestJobFD, v)
	}
	return fd, nil
}
