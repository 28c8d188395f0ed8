// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"sync/atomic"

	"github.com/cilium/ebpf/btf"
)

var warmed atomic.Pointer[Prepared]

// Warm prepares an Attach before anybody asks for one: the next Prepare has it, with the
// types that the programs' arguments lead to, which are nearly all of the kernel's. It
// loads nothing: what it left behind would be among the maps that are measured.
func Warm() error {
	p := Prepare()
	p.Wait()
	warmed.Store(p)
	kernel, err := p.types.Kernel()
	if err != nil {
		return err
	}
	for _, name := range []string{"bpf_map", "task_struct"} {
		var t *btf.Struct
		if err := kernel.TypeByName(name, &t); err != nil {
			return err
		}
	}
	return nil
}
