// SPDX-License-Identifier: Apache-2.0

//go:build linux

package targetflags

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/kernels"
)

// What --target may say.
const (
	Auto  = "auto"
	Local = "local"
	VM    = "vm"
)

// Flags say where something runs.
type Flags struct {
	Target  string // Auto, Local or VM
	Kernels []string
	Modules []string // of the kernel's, to be loaded in a VM; no flag of Add's
	// MayBeBuiltIn: a kernel image without modules is taken, too.
	MayBeBuiltIn bool
	Offline      bool   // never use the network
	Arch         string // of the kernels; empty: the images', else this program's
	Program      string // mapprof for guests of its architecture; empty: found or built
	// Machine is a VM as the flags want it; its zero values are defaults.
	Machine target.Machine

	flags *pflag.FlagSet // that these are of; nil: of none
}

// Add registers the flags. defaultKernel is what a VM boots without --kernel.
func (f *Flags) Add(fs *pflag.FlagSet, defaultKernel string) {
	f.flags = fs
	fs.StringVar(&f.Target, "target", Auto, "where: local (this kernel), vm (a kernel image in QEMU), or auto (local if it can trace and no flag asks for a VM, else vm)")
	fs.StringArrayVar(&f.Kernels, "kernel", nil, "kernel for the vm target: a series (6.12), a bzImage, or a .deb; repeat it for several (default "+defaultKernel+")")
	AddArch(fs, &f.Arch)
	fs.StringVar(&f.Program, "guest-binary", "", "mapprof for a VM of another architecture (default: mapprof-ARCH beside this program, else built by the go tool)")
	fs.IntVar(&f.Machine.CPUs, "cpus", 0, "the VM's CPUs (default 2; 1 with --clock icount)")
	fs.Var((*flagvalue.Size)(&f.Machine.MemoryBytes), "memory", "the VM's memory (default: what the workload takes, at least 1GiB)")
	fs.StringArrayVar(&f.Machine.Append, "append", nil, "add this to the VM's kernel command line; repeatable")
	fs.StringVar(&f.Machine.Accel, "accel", "", "the VM's accelerator: kvm or tcg (default: kvm where this kernel boots on it)")
	fs.StringVar(&f.Machine.Clock, "clock", results.ClockWall, "the VM's clock: "+ClocksText())
	fs.StringVar(&f.Machine.Boot, "boot", "", "how the VM comes to its work: snapshot (from one that had booted before, kept in the cache) or fresh (default: snapshot with --clock icount, which changes no figure; fresh by the wall clock, where boots differ)")
	flagvalue.SetKnown(fs, "target", Auto, Local, VM)
	flagvalue.SetKnown(fs, "boot", target.BootFresh, target.BootSnapshot)
	flagvalue.SetKnown(fs, "accel", "kvm", "tcg")
	flagvalue.SetKnown(fs, "clock", results.ClockNames()...)
	fs.DurationVar(&f.Machine.Timeout, "timeout", 0, "limit on one boot of the VM, power-on to power-off; what a run has then is kept, as partial (default 10m beside what the workload and its set-up take)")
	fs.BoolVar(&f.Offline, "offline", false, "never use the network: only cached kernels")
	fs.StringVar(&f.Machine.ConsoleLog, "console", "", "keep the VM's console in this file (that of the last boot)")
	flagvalue.SetGroup(fs, flagvalue.Where, append([]string{"target", "kernel", "offline"}, ownVMFlags...)...)
}

// ClocksText lists the clocks with what their time is.
func ClocksText() string {
	var texts []string
	for _, c := range results.Clocks() {
		texts = append(texts, c.Name+" ("+c.Sentence+")")
	}
	return strings.Join(texts, " or ")
}

// Check says what is wrong with the flags. Its error is the user's mistake.
func (f *Flags) Check() error {
	switch f.Target {
	case Auto, VM:
	case Local:
		if len(f.Kernels) > 0 {
			return errors.New("--kernel needs --target vm: the local target is the kernel that runs here")
		}
		if name := f.wantsVM(); name != "" {
			return fmt.Errorf("--%s needs --target vm: the local target is this machine as it is", name)
		}
	default:
		return flagvalue.OneOf("target", f.Target, Auto, Local, VM)
	}
	m := f.Machine
	// A zero that is given asks for none, and not for the default.
	if m.CPUs == 0 && f.given("cpus") {
		m.CPUs = -1
	}
	if m.Timeout == 0 && f.given("timeout") {
		m.Timeout = -1
	}
	if m.MemoryBytes == 0 && f.given("memory") {
		return errors.New("--memory must be more than 0")
	}
	return m.Check()
}

// bootAllowance is what a trial in a VM may take beside its workload.
const bootAllowance = 10 * time.Minute

// AllowFor makes room for a workload that takes at least that long, and for its
// set-up, which may take that long. Where the user has set a limit that has no room
// for the workload, it says so.
func (f *Flags) AllowFor(atLeast, setup time.Duration) error {
	allowance := min(setup, math.MaxInt64-bootAllowance) + bootAllowance
	limit := &f.Machine.Timeout
	switch {
	case *limit == 0:
		*limit = min(atLeast, math.MaxInt64-allowance) + allowance
	case *limit < atLeast && f.Machine.Clock == results.ClockWall:
		return fmt.Errorf("--timeout %v ends the VM before the workload, which takes %v at least, can end (leave it out, or give more)", *limit, atLeast)
	}
	return nil
}

func (f *Flags) given(name string) bool { return f.flags != nil && f.flags.Changed(name) }

// vmFlags say how a VM is to be.
var (
	ownVMFlags = []string{"cpus", "memory", "append", "accel", "boot", "clock", "timeout", "console", "arch", "guest-binary"}
	vmFlags    = append([]string{"root", "init", "module"}, ownVMFlags...)
)

// wantsVM names the flag that only a VM can follow, if one was given; empty:
// none.
func (f *Flags) wantsVM() string {
	for _, name := range vmFlags {
		if f.given(name) && !(name == "clock" && f.Machine.Clock == results.ClockWall) {
			return name
		}
	}
	return ""
}

// Find finds the target that the flags name; w has the rest. Kernels are
// fetched where they must be.
func (f *Flags) Find(ctx context.Context, w engine.Where) (target.Target, error) {
	w.Kernels, w.Modules, w.Offline, w.Machine, w.Arch, w.Program = f.Kernels, f.Modules, f.Offline, f.Machine, f.Arch, f.Program
	w.MayBeBuiltIn = f.MayBeBuiltIn
	w.Local = f.Target == Local
	w.Auto = f.Target == Auto && len(f.Kernels) == 0 && f.wantsVM() == ""
	return w.Target(ctx)
}

// IsMistake tells whether an error of Find's is the user's mistake.
func IsMistake(err error) bool {
	var unknown *kernels.UnknownError
	var notKernel *kernels.NotKernelError
	var machine *target.MachineError
	var module *kernels.ModuleError
	return errors.As(err, &module) || errors.As(err, &unknown) && !unknown.Offline || errors.As(err, &notKernel) || errors.As(err, &machine)
}
