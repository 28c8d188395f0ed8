// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mapprof/mapprof/target/guest"
	"github.com/mapprof/mapprof/target/machine"
	"github.com/mapprof/mapprof/target/wire"
	"golang.org/x/sys/unix"
)

// QEMUMissingError is a host without QEMU.
type QEMUMissingError struct {
	Machine *machine.Machine // that it was to be
	Err     error
}

func (e *QEMUMissingError) Error() string {
	return fmt.Sprintf("find %s: %v (apt-get install %s)", e.Machine.QEMU, e.Err, e.Machine.Package)
}

func (e *QEMUMissingError) Unwrap() error { return e.Err }

// findQEMU returns the path of the QEMU for a machine; $MAPPROF_QEMU overrides the search.
func findQEMU(m *machine.Machine) (string, error) {
	name := m.QEMU
	if v := os.Getenv("MAPPROF_QEMU"); v != "" {
		name = v
	}
	p, err := exec.LookPath(name)
	if err != nil {
		return "", &QEMUMissingError{Machine: m, Err: err}
	}
	return p, nil
}

// qemuBuild is what one QEMU says of itself.
type qemuBuild struct {
	version string
	eight   bool // it is of version 8 or later
	window  bool // it has the device for memory shared with a guest
	stops   bool // and the one by which a guest stops its machine
	// unfiltered is why it can't filter its own system calls; empty: it can.
	unfiltered string
}

var qemuBuilds sync.Map // path → qemuBuild

// askQEMU asks a QEMU about itself, once per path and process.
func askQEMU(ctx context.Context, path string) (qemuBuild, error) {
	if v, ok := qemuBuilds.Load(path); ok {
		return v.(qemuBuild), nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return qemuBuild{}, fmt.Errorf("ask %s for its version: %w", path, err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	_, v, ok := strings.Cut(line, "version ")
	if !ok {
		return qemuBuild{}, fmt.Errorf("ask %s for its version: %q is no answer of QEMU", path, wire.Printable(line, 80))
	}
	b := qemuBuild{version: wire.Printable(v, 80)}
	major, _, _ := strings.Cut(v, ".")
	n, _ := strconv.Atoi(major)
	b.eight = n >= 8
	// Some distributions leave out the device or the filter, and some hosts refuse
	// the filter, which QEMU installs before it lists its devices. A failure here
	// costs speed or safety, not the boot.
	devices, err := exec.CommandContext(ctx, path, "-sandbox", sandbox, "-device", "help").Output()
	if err != nil {
		var failed *exec.ExitError
		complaint := ""
		if errors.As(err, &failed) {
			complaint = string(failed.Stderr)
		}
		b.unfiltered = firstLine(complaint, err)
		devices, err = exec.CommandContext(ctx, path, "-device", "help").Output()
	}
	if ctx.Err() != nil {
		return qemuBuild{}, fmt.Errorf("ask %s for its devices: %w", path, context.Cause(ctx))
	}
	b.window = err == nil && bytes.Contains(devices, []byte(`"ivshmem-plain"`))
	b.stops = err == nil && bytes.Contains(devices, []byte(`"pvpanic-pci"`))
	qemuBuilds.Store(path, b)
	return b, nil
}

// qemuMachine is all that QEMU's command line depends on.
type qemuMachine struct {
	kind    *machine.Machine
	kernel  string // path
	initrd  string // path
	cpus    int
	memory  uint64
	accel   string // "tcg" or "kvm"
	clock   string // "wall" or "icount"
	append  []string
	tscKHz  uint64 // how fast this machine's time-stamp counter runs; 0: unknown
	console int    // descriptors inherited by QEMU
	channel int
	monitor int
	window  string // path of the memory shared with the guest; "": none
	sandbox bool
	// knowsCPU8: QEMU knows the CPU features of kind.CPU8.
	knowsCPU8 bool
	root      bool // mapprof is not /init, which is the root's
	// successor: another program becomes PID 1.
	successor bool
	// pause: the guest stops the machine before it has a job. incoming: and has done so,
	// and QEMU will be told from where it has the machine.
	pause, incoming bool
}

// cmdline is the guest kernel's command line. It leaves alone whatever
// changes what is measured (mitigations, RCU, preemption, ticks).
func (m qemuMachine) cmdline() string {
	a := append(slices.Clone(m.kind.Cmdline),
		"quiet", "panic=-1", "oops=panic", "random.trust_cpu=on",
		// Debian's kernels of 7.x test their ciphers in threads that take the
		// CPUs for the first seconds, the measured ones.
		"cryptomgr.notests")
	mark := guest.MarkAlone
	switch {
	case m.successor:
		mark = guest.MarkSuccessor
	case m.pause:
		mark = guest.MarkPause
	}
	a = append(a, guest.Marker+"="+mark)
	if m.root {
		a = append(a, "rdinit="+guest.RootInitFile)
	}
	if m.accel == "tcg" {
		a = append(a, m.kind.TCG...)
	}
	khz := m.tscKHz
	if m.clock == ClockICount {
		khz = 1e6 // one tick an instruction
	}
	if khz > 0 && m.kind.CounterKHz != "" && m.accel == "tcg" {
		a = append(a, fmt.Sprintf("%s=%d", m.kind.CounterKHz, khz))
	}
	if m.clock == ClockICount {
		a = append(a, "nokaslr", "norandmaps")
	}
	return strings.Join(append(append(a, m.kind.TellTasks...), m.append...), " ")
}

func (m qemuMachine) args() []string {
	socket := func(id string, fd int) string { return fmt.Sprintf("socket,id=%s,fd=%d", id, fd) }
	a := []string{
		"-no-user-config", "-nodefaults", "-display", "none", "-nic", "none", "-no-reboot",
		"-machine", m.kind.Board,
		"-smp", strconv.Itoa(m.cpus),
		"-m", strconv.FormatUint(m.memory>>20, 10) + "M",
	}
	if m.incoming {
		a = append(a, "-incoming", "defer")
	} else {
		a = append(a, "-kernel", m.kernel, "-initrd", m.initrd, "-append", m.cmdline())
	}
	a = append(a,
		"-chardev", socket("console", m.console), "-chardev", socket("channel", m.channel),
		"-chardev", socket("monitor", m.monitor), "-mon", "chardev=monitor,mode=control")
	master := "" // the window goes along with the machine
	if m.pause {
		master = ",master=on"
	}
	a = append(a, m.kind.Ports...)
	if m.window != "" && (m.accel != "kvm" || m.kind.SharesUnderKVM) {
		a = append(a,
			"-object", fmt.Sprintf("memory-backend-file,id=window,mem-path=%s,size=%d,share=on", m.window, wire.WindowBytes),
			"-device", "ivshmem-plain,memdev=window"+master)
	}
	if m.pause {
		// The guest's own panics are not told to the device: it says it takes none.
		a = append(a, "-device", "pvpanic-pci,events=0", "-action", "panic=pause")
	}
	if m.sandbox {
		a = append(a, "-sandbox", sandbox)
	}
	cpu := m.kind.CPU
	if m.knowsCPU8 {
		cpu += m.kind.CPU8
	}
	switch {
	case m.accel == "kvm":
		a = append(a, "-accel", "kvm", "-cpu", "host")
	case m.clock == ClockICount:
		a = append(a, "-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-cpu", cpu,
			"-rtc", "base=2020-01-01,clock=vm", "-seed", "1")
	default:
		a = append(a, "-accel", "tcg,thread=multi", "-cpu", cpu)
	}
	return a
}

// process is a running QEMU. It dies with this process, whatever ends it.
type process struct {
	pid    int
	stderr *boundedBuffer
	exited chan struct{} // closed once reaped
	err    error         // how it ended; read after exited
}

// startProcess starts a command that inherits files as descriptors 3, 4, …, as a
// user, or where that is nil as this process's.
//
// The kernel sends the parent-death signal when the *thread* that started the
// child ends, so one locked goroutine starts it, waits for it, and does
// nothing else.
func startProcess(path string, args []string, files []*os.File, user *syscall.Credential) (*process, error) {
	p := &process{stderr: &boundedBuffer{max: 64 << 10}, exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		cmd := exec.Command(path, args...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/", "LC_ALL=C"}
		cmd.Dir = "/"
		cmd.Stdout, cmd.Stderr = p.stderr, p.stderr
		cmd.ExtraFiles = files
		cmd.WaitDelay = 2 * time.Second
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: user}
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.exited)
		}
		// Not unlocked: the thread ends with the goroutine.
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return p, nil
}

// kill ends the process and returns once it is reaped.
func (p *process) kill() {
	select {
	case <-p.exited:
		return
	default:
	}
	// The group is the child's own; it can't have been reused before the
	// locked goroutine reaped it, and then exited is closed.
	_ = unix.Kill(-p.pid, unix.SIGKILL)
	<-p.exited
}

// boundedBuffer keeps the first max bytes written to it.
type boundedBuffer struct {
	mu  sync.Mutex
	max int
	b   bytes.Buffer
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if room := b.max - b.b.Len(); room > 0 {
		b.b.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (b *boundedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// sendBuffer is how much of a port's output waits for this process, in bytes.
const sendBuffer = 8 << 20

// socketPair returns two ends of a stream: ours and the one for QEMU.
func socketPair(name string) (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("create %s: %w", name, err)
	}
	// A serial port is written byte by byte, and each byte takes most of a KiB of the
	// buffer. Where that is full, the guest waits for this process: its deterministic
	// clock would depend on how busy the host is. Forcing takes CAP_NET_ADMIN.
	if unix.SetsockoptInt(fds[1], unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer) != nil {
		_ = unix.SetsockoptInt(fds[1], unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	}
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name), nil
}

// memFile returns an anonymous file, which no crash can leave behind.
func memFile(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

func closeAll(files ...*os.File) error {
	var errs []error
	for _, f := range files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
