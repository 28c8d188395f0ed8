// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/crossbuild"
	"github.com/mapprof/mapprof/target/kernels"
	"github.com/mapprof/mapprof/target/task"
	"github.com/mapprof/mapprof/target/wire"
)

// Where says which target is wanted.
type Where struct {
	Local bool // this machine's kernel
	// Auto: this machine's kernel where it can be traced, else a VM.
	Auto bool
	// Kernels are those of a VM, as the user named them; none: DefaultKernel.
	Kernels       []string
	DefaultKernel string
	Modules       []string // of the kernel's, loaded in a VM before anything else
	MayBeBuiltIn  bool     // an image without modules may have those
	Offline       bool     // never use the network
	Arch          string   // of the kernels; empty: the images', else this program's
	Program       string   // mapprof for guests of its architecture; empty: found or built
	Machine       target.Machine
	Limits        wire.Limits // on what a guest may send
	Handlers      task.Handlers
	Say           func(line string) // of what is being waited for
}

// Target finds the target. Kernels are fetched where they must be, and not for
// a machine that can't be, which is a *target.MachineError.
func (w Where) Target(ctx context.Context) (target.Target, error) {
	local := w.Local
	if w.Auto {
		err := trial.CanTrace()
		if err == nil {
			local = true
		} else {
			w.Say(fmt.Sprintf("this machine's kernel can't be traced: %v\nso a VM is used, kernel %s", err, w.DefaultKernel))
		}
	}
	if local {
		return target.Local{Release: trial.Release(), Handlers: w.Handlers}, nil
	}
	if err := w.Machine.Check(); err != nil {
		return nil, err
	}
	names := w.Kernels
	if len(names) == 0 {
		names = []string{w.DefaultKernel}
	}
	vm := &target.VM{Machine: w.Machine, Limits: w.Limits, Programs: map[string]string{}}
	for _, name := range names {
		options := kernels.Options{Arch: w.Arch, Offline: w.Offline, Progress: w.Say}
		k, err := kernels.Resolve(ctx, name, options)
		if err != nil {
			return nil, err
		}
		with := w.Machine
		with.Kernel = k
		if err := with.Check(); err != nil {
			return nil, err
		}
		modules, err := kernels.Modules(ctx, k, w.Modules, options)
		if _, alone := errors.AsType[*kernels.AloneError](err); err != nil && !(alone && w.MayBeBuiltIn) {
			return nil, err
		}
		if _, ok := vm.Programs[k.Arch]; !ok {
			if vm.Programs[k.Arch], err = crossbuild.Program(ctx, k.Arch, crossbuild.Options{Given: w.Program, Offline: w.Offline, Say: w.Say}); err != nil {
				return nil, err
			}
		}
		vm.Images, vm.Modules = append(vm.Images, k), append(vm.Modules, modules)
	}
	return vm, nil
}
