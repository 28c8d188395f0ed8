// SPDX-License-Identifier: Apache-2.0

//go:build linux

package programs

import (
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// traceable is a function of the kernel that nothing else traces, nor calls (net/bpf/
// test_run.c): a program on it makes a trampoline, and is the only one there.
const traceable = "bpf_fentry_test1"

// onKernel attaches a program to that function and detaches it. How long the kernel takes
// depends on whether ftrace has to wait for a grace period of RCU-tasks.
func (i *instance) onKernel() error {
	spec := i.spec.Copy()
	spec.Programs, spec.Maps = map[string]*ebpf.ProgramSpec{"mp_freed": spec.Programs["mp_freed"]}, nil
	spec.Programs["mp_freed"].AttachTo = traceable
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return fmt.Errorf("load a program for %s: %w", traceable, err)
	}
	defer coll.Close()
	begin := time.Now()
	l, err := link.AttachTracing(link.TracingOptions{Program: coll.Programs["mp_freed"]})
	if err != nil {
		return fmt.Errorf("attach to %s: %w", traceable, err)
	}
	attached := time.Now()
	closing := l.Close()
	i.attach[kernelFunction] = append(i.attach[kernelFunction], float64(attached.Sub(begin)))
	i.detach = append(i.detach, float64(time.Since(attached)))
	return closing
}

// kernelFunction is the role of that program.
const kernelFunction = "kernel"
