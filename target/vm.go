// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/kernels"
	"github.com/mapprof/mapprof/target/machine"
	"github.com/mapprof/mapprof/target/rootfs"
	"github.com/mapprof/mapprof/target/wire"
)

// Clocks of a VM.
const (
	ClockWall   = results.ClockWall   // guest time is host time
	ClockICount = results.ClockICount // guest time is instructions executed
)

// Ways of a VM to its job.
const (
	BootFresh    = "fresh"    // it is booted
	BootSnapshot = "snapshot" // it begins where one like it had booted before

	bootVariable = "MAPPROF_BOOT" // of the environment: one of these, where none is asked for
)

const (
	minMemory          = 256 << 20
	DefaultMemory      = 1 << 30 // of a VM, bytes
	defaultTimeout     = 10 * time.Minute
	defaultBootTimeout = 2 * time.Minute
	quitLimit          = 5 * time.Second
)

// Machine is a machine to boot a kernel on. The zero value of every field but
// Kernel is a sensible default.
type Machine struct {
	Kernel      kernels.Kernel
	CPUs        int      // default 2; 1 with ClockICount
	MemoryBytes uint64   // default 1 GiB
	Append      []string // added to the kernel's command line
	Program     string   // path of mapprof for the kernel's architecture; "": this program
	Accel       string   // "tcg", "kvm" or "": KVM if this kernel boots on it
	Clock       string   // ClockWall (default) or ClockICount
	// Root becomes the guest's root file system; nil: it has the job's files alone.
	Root *rootfs.Tree
	// Boot is BootFresh or BootSnapshot; "": what MAPPROF_BOOT says, or a snapshot with
	// ClockICount. What runs on KVM, and what has a root of its own, is booted.
	Boot string
	// Successor lets the job make another program PID 1.
	Successor bool
	// Timeout bounds boot to power-off (default 10 minutes), BootTimeout boot
	// to user space (default 2).
	Timeout     time.Duration
	BootTimeout time.Duration
	// ConsoleLog is a file to keep the console in, written when the VM has
	// ended, at most 4 MiB of it. "": none; a failure carries the tail.
	ConsoleLog string
}

// GuestJob is what the guest does: run this same binary with Args.
type GuestJob struct {
	Args   []string          // argv[1:]; empty: boot, and power off
	Files  map[string][]byte // absolute path in the guest → content
	OutDir string            // an existing directory for the files it sends
	Limits wire.Limits
	// Event is called with what the job sends, in order, from one
	// goroutine; payload is valid during the call.
	Event func(kind string, payload []byte)
	// Committed, if any, is called when OutDir holds a result for the case that the job
	// gets no further, with what is known of the machine. It does not change meanwhile.
	Committed func(Outcome) error
	Reboots   int // of the jobs before this one, where they are of one run
	// Stop, when closed, interrupts the job (SIGINT), which may still send
	// results; before there is one, Run ends with ErrStopped. So does the
	// end of the VM's time, shortly before, where Stop is not nil. Cancelling
	// Run's context kills the machine instead.
	Stop <-chan struct{}
}

// Outcome is how a job ended that ended by itself.
type Outcome struct {
	ExitCode int    // of the job; 128+n: signal n
	Signal   string // that ended it, if one did
	Message  string // the end of its output if ExitCode is not 0; printable
	Files    []string

	Accel       string // "tcg" or "kvm"
	AccelReason string // why not KVM, where that was to choose
	Clock       string
	CPUs        int
	MemoryBytes uint64
	QEMU        string // version
	Reboots     int    // boots before the last, each of which ended in a panic that is QEMU's own

	Release string // the guest's uname -r and -v
	Build   string
	// TimedOut says that the job was told to end, as by Stop, for its time was
	// nearly over.
	TimedOut bool
	// Warnings are of the guest's init, about mounts and settings that failed,
	// of failed boots before this one, and of a QEMU that is not confined;
	// printable, one line each.
	Warnings []string
}

// GuestError is a guest that ended otherwise than by ending its job.
type GuestError struct {
	Kernel string // as the user asked for it
	Reason string // one of the Guest* constants
	Detail string // one line; may be empty
	// ConsoleTail is what of its console says most, at most 30 lines, safe
	// to print under the error. Of a guest that hung it is where its tasks are,
	// if its kernel tells.
	ConsoleTail string
	silent      bool // nothing was heard of it for as long as a boot may take
}

// Console is what of the guest's console says most; empty: nothing.
func (e *GuestError) Console() string { return e.ConsoleTail }

func (e *GuestError) short() string {
	if e.Detail == "" {
		return e.Reason
	}
	return e.Reason + ": " + e.Detail
}

func (e *GuestError) Error() string {
	hint := map[string]string{
		GuestOutOfMemory: "try more --memory",
		GuestHung:        "if it needs longer, give it a longer --timeout",
		GuestNoUserSpace: "the end of its console says more",
		GuestPanicked:    "the end of its console says more",
		GuestClockWrong:  "what it timed would be wrong by as much; try again while the host is less busy",
	}[e.Reason]
	s := fmt.Sprintf("run guest %s: %s", e.Kernel, e.short())
	if hint != "" {
		s += " (" + hint + ")"
	}
	return s
}

// MachineError is a machine that can't be: the mistake of who asked for it.
type MachineError struct{ Reason string }

func (e *MachineError) Error() string { return e.Reason }

// Check says what is wrong with the machine's settings, and with its kernel's
// architecture where it has a kernel, as a *MachineError, in the words of mapprof's flags. It needs no QEMU.
func (vm Machine) Check() error {
	vm = vm.WithDefaults()
	bad := func(format string, args ...any) error {
		return &MachineError{Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case vm.Clock != ClockWall && vm.Clock != ClockICount:
		return bad("%v", flagvalue.OneOf("clock", vm.Clock, results.ClockNames()...))
	case vm.Accel != "" && vm.Accel != "tcg" && vm.Accel != "kvm":
		return bad("%v", flagvalue.OneOf("accel", vm.Accel, "kvm", "tcg"))
	case vm.Accel == "kvm" && foreign(vm.Kernel.Arch):
		return bad("--accel kvm is for kernels of this machine's architecture, %s, and this one is for %s (leave it out)", runtime.GOARCH, vm.Kernel.Arch)
	case !slices.Contains([]string{"", BootFresh, BootSnapshot}, vm.Boot):
		return bad("%v", flagvalue.OneOf("boot", vm.Boot, BootFresh, BootSnapshot))
	case !slices.Contains([]string{"", BootFresh, BootSnapshot}, os.Getenv(bootVariable)):
		return bad("%s=%q is not one of %s, %s", bootVariable, os.Getenv(bootVariable), BootFresh, BootSnapshot)
	case vm.Boot == BootSnapshot && (vm.Accel == "kvm" || vm.Root != nil || vm.Successor):
		return bad("--boot snapshot is for TCG, and for guests of mapprof's alone (leave it out, or --accel, --root and --init)")
	case vm.CPUs < 1 || vm.CPUs > 255:
		return bad("--cpus must be from 1 to 255")
	case vm.Clock == ClockICount && (vm.CPUs > 1 || vm.Accel == "kvm"): // 6.1 hangs with more CPUs
		return bad("--clock icount needs one CPU and TCG (leave out --cpus and --accel)")
	case vm.MemoryBytes < minMemory:
		have, least := flagvalue.Size(vm.MemoryBytes), flagvalue.Size(minMemory)
		return bad("--memory %s is too little (a kernel and its tracer need %s)", &have, &least)
	case vm.Timeout < 0:
		return bad("--timeout must be more than 0")
	}
	for _, a := range vm.Append {
		if strings.ContainsAny(a, "\x00\n") {
			return bad("--append %q can't stand on a kernel command line", a)
		}
	}
	return nil
}

// WithDefaults is the machine as it boots: each zero value is its default.
func (vm Machine) WithDefaults() Machine {
	if vm.Clock == "" {
		vm.Clock = ClockWall
	}
	if vm.CPUs == 0 {
		vm.CPUs = 2
		if vm.Clock == ClockICount {
			vm.CPUs = 1
		}
	}
	if vm.MemoryBytes == 0 {
		vm.MemoryBytes = DefaultMemory
	}
	if vm.Timeout == 0 {
		vm.Timeout = defaultTimeout
	}
	if vm.BootTimeout == 0 {
		vm.BootTimeout = defaultBootTimeout
	}
	return vm
}

// Run boots the VM, runs the job, and returns when nothing of the VM is left.
// A job that ran to its own end is an Outcome, whatever its exit code.
// Otherwise the error is a *GuestError, *ChannelError, *DynamicBinaryError,
// *QEMUMissingError, *MemoryError, ErrStopped, ctx's error, or one of the
// host's.
func (vm Machine) Run(ctx context.Context, job GuestJob) (Outcome, error) {
	if err := ctx.Err(); err != nil {
		return Outcome{}, err
	}
	if err := vm.Check(); err != nil {
		return Outcome{}, err
	}
	if vm.Kernel.Path == "" {
		return Outcome{}, &MachineError{Reason: "configure vm: no kernel"}
	}
	vm = vm.WithDefaults()
	kind, err := machine.Of(vm.Kernel.Arch)
	if err != nil {
		return Outcome{}, err
	}
	qemu, err := findQEMU(kind)
	if err != nil {
		return Outcome{}, err
	}
	build, err := askQEMU(ctx, qemu)
	if err != nil {
		return Outcome{}, err
	}
	archive := uint64(0)
	if vm.Root != nil {
		archive = uint64(vm.Root.Packed)
	}
	if err := CheckHostMemory(vm.MemoryBytes + archive); err != nil {
		return Outcome{}, err
	}
	accel, reason, err := chooseAccel(ctx, vm, qemu)
	if err != nil {
		return Outcome{}, err
	}
	m := qemuMachine{kind: kind, cpus: vm.CPUs, memory: vm.MemoryBytes,
		accel: accel, clock: vm.Clock, append: vm.Append, tscKHz: tscKHz(), sandbox: build.unfiltered == "", knowsCPU8: build.eight, root: vm.Root != nil, successor: vm.Successor}
	var out Outcome
	var s *session
	var before []string
	for boots := 1; ; boots++ {
		out = Outcome{Accel: accel, AccelReason: reason, Clock: vm.Clock, CPUs: vm.CPUs,
			MemoryBytes: vm.MemoryBytes, QEMU: build.version, Reboots: boots - 1}
		s = &session{vm: vm, job: job, out: &out, shared: build.window, stops: build.stops, console: newConsole(consoleHalf)}
		if build.unfiltered != "" {
			s.notes = []string{"QEMU's system calls are not filtered: " + build.unfiltered}
		}
		s.begun = out
		err = s.boot(ctx, qemu, m)
		out.Warnings = append(before, out.Warnings...)
		if boots == maxBoots || !m.mayBootAgain(err, job.Reboots+out.Reboots) || !job.canBeginAgain(out) {
			break
		}
		before = append(before, againWarning(boots, err))
		vm.Boot = BootFresh // from a snapshot it is likelier
	}
	if vm.ConsoleLog != "" {
		if werr := os.WriteFile(vm.ConsoleLog, s.console.Bytes(), 0o644); werr != nil {
			err = errors.Join(err, fmt.Errorf("keep console: %w", werr))
		}
	}
	return out, err
}

// canBeginAgain tells whether the guest may be booted anew for the job: the job was
// not asked to stop, and no file of it has arrived.
func (j *GuestJob) canBeginAgain(out Outcome) bool {
	select {
	case <-j.Stop:
		return false
	default:
		return len(out.Files) == 0
	}
}

// MemoryError is a host without the memory that a VM was to have.
type MemoryError struct {
	NeedBytes, AvailableBytes uint64
	Hint                      string // what would help; empty: less --memory
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("start vm: %d MiB of memory wanted, %d MiB available on this host (%s)",
		e.NeedBytes>>20, e.AvailableBytes>>20, cmp.Or(e.Hint, "try less --memory"))
}

// CheckHostMemory refuses a VM with that many bytes of memory that would push the
// host into swapping or its OOM killer, with a *MemoryError. QEMU itself needs some
// beside the guest's memory.
func CheckHostMemory(need uint64) error {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return nil // a host that does not tell is not in the way
	}
	avail, ok := memAvailable(b)
	const overhead = 192 << 20
	if ok && avail < need+overhead {
		return &MemoryError{NeedBytes: need + overhead, AvailableBytes: avail}
	}
	return nil
}

func memAvailable(meminfo []byte) (uint64, bool) {
	sc := bufio.NewScanner(bytes.NewReader(meminfo))
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) >= 2 && f[0] == "MemAvailable:" {
			kb, err := strconv.ParseUint(f[1], 10, 54)
			return kb << 10, err == nil
		}
	}
	return 0, false
}
