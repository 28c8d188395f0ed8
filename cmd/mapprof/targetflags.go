// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/kernels"
	"github.com/mapprof/mapprof/target/wire"
)

const (
	targetAuto  = "auto"
	targetLocal = "local"
	targetVM    = "vm"
)

// targetFlags say where something runs; run and doctor share them.
type targetFlags struct {
	target  string
	kernels []string
	cpus    int
	memory  flagvalue.Size
	append  []string
	accel   string
	clock   string
	timeout time.Duration
	offline bool
	console string

	flags *pflag.FlagSet // that these are of
}

func (f *targetFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.target, "target", targetAuto, "where: local (this kernel), vm (a kernel image in QEMU), or auto (local if it can trace and no flag asks for a VM, else vm)")
	f.flags = fs
	fs.StringArrayVar(&f.kernels, "kernel", nil, "kernel for the vm target: a series (6.12), a bzImage, or a .deb; repeat it for several (default "+defaultKernel+")")
	fs.IntVar(&f.cpus, "cpus", 0, "the VM's CPUs (default 2; 1 with --clock icount)")
	fs.Var(&f.memory, "memory", "the VM's memory (default 1GiB)")
	fs.StringArrayVar(&f.append, "append", nil, "add this to the VM's kernel command line; repeatable")
	fs.StringVar(&f.accel, "accel", "", "the VM's accelerator: kvm or tcg (default: kvm where this kernel boots on it)")
	fs.StringVar(&f.clock, "clock", results.ClockWall, "the VM's clock: "+clocksText())
	fs.DurationVar(&f.timeout, "timeout", 0, "limit on one boot of the VM, power-on to power-off; what a run has then is kept, as partial (default 10m beside what the workload takes at least)")
	fs.BoolVar(&f.offline, "offline", false, "never use the network: only cached kernels")
	fs.StringVar(&f.console, "console", "", "keep the VM's console in this file (that of the last boot)")
}

func (f *targetFlags) check() error {
	switch f.target {
	case targetAuto, targetVM:
	case targetLocal:
		if len(f.kernels) > 0 {
			return &usageError{fmt.Errorf("--kernel needs --target vm: the local target is the kernel that runs here")}
		}
		if name := f.wantsVM(); name != "" {
			return &usageError{fmt.Errorf("--%s needs --target vm: the local target is this machine as it is", name)}
		}
	default:
		return &usageError{fmt.Errorf("--target %q is not one of auto, local, vm", f.target)}
	}
	if err := checkClock(f.clock); err != nil {
		return err
	}
	switch {
	case f.accel != "" && f.accel != "kvm" && f.accel != "tcg":
		return &usageError{fmt.Errorf("--accel %q is not one of kvm, tcg", f.accel)}
	case f.clock == results.ClockICount && (f.cpus > 1 || f.accel == "kvm"):
		return &usageError{fmt.Errorf("--clock icount needs one CPU and TCG (leave out --cpus and --accel)")}
	case f.cpus < 0 || f.cpus > 255 || f.cpus == 0 && f.changed("cpus"):
		return &usageError{fmt.Errorf("--cpus must be from 1 to 255")}
	case f.memory == 0 && f.changed("memory"):
		return &usageError{fmt.Errorf("--memory must be more than 0")}
	case f.timeout < 0 || f.timeout == 0 && f.changed("timeout"):
		return &usageError{fmt.Errorf("--timeout must be more than 0")}
	}
	return nil
}

// clocksText lists the clocks with what their time is.
func clocksText() string {
	var texts []string
	for _, c := range results.Clocks() {
		texts = append(texts, c.Name+" ("+c.Sentence+")")
	}
	return strings.Join(texts, " or ")
}

func checkClock(name string) error {
	if _, ok := results.ClockNamed(name); ok {
		return nil
	}
	return &usageError{fmt.Errorf("--clock %q is not one of %s", name, strings.Join(results.ClockNames(), ", "))}
}

func (f *targetFlags) changed(name string) bool { return f.flags != nil && f.flags.Changed(name) }

// vmFlags say how a VM is to be.
var vmFlags = []string{"cpus", "memory", "append", "accel", "clock", "timeout", "console"}

// wantsVM names the flag that only a VM can follow, if one was given; empty:
// none.
func (f *targetFlags) wantsVM() string {
	for _, name := range vmFlags {
		if f.changed(name) && !(name == "clock" && f.clock == results.ClockWall) {
			return name
		}
	}
	return ""
}

// resolve finds out where to run.
func (f *targetFlags) resolve(ctx context.Context, stderr io.Writer) (target.Target, error) {
	where := engine.Where{
		Kernels: f.kernels, DefaultKernel: defaultKernel, Offline: f.offline, Handlers: handlers(), Limits: guestLimits,
		Machine: target.Machine{
			CPUs: f.cpus, MemoryBytes: uint64(f.memory), Append: f.append,
			Accel: f.accel, Clock: f.clock, Timeout: f.timeout, ConsoleLog: f.console,
		},
		Local: f.target == targetLocal,
		Auto:  f.target == targetAuto && len(f.kernels) == 0 && f.wantsVM() == "",
		Say:   func(line string) { fmt.Fprintln(stderr, safetext.Lines(line)) },
	}
	t, err := where.Target(ctx)
	var unknown *kernels.UnknownError
	var notKernel *kernels.NotKernelError
	var machine *target.MachineError
	if errors.As(err, &unknown) && !unknown.Offline || errors.As(err, &notKernel) || errors.As(err, &machine) {
		return nil, &usageError{err}
	}
	return t, err
}

// guestLimits bound what a guest may send; tests make them smaller.
var guestLimits wire.Limits
