// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"fmt"
	"sync/atomic"

	"github.com/cilium/ebpf"
)

var warmed atomic.Pointer[Prepared]

// Warm prepares an Attach before anybody asks for one: the next Prepare has it. It loads
// a program, too, and drops it: with the first one the types are decoded that its
// arguments lead to, nearly all of the kernel's.
func Warm() error {
	p := Prepare()
	p.Wait()
	warmed.Store(p)
	spec, err := p.spec()
	if err != nil {
		return fmt.Errorf("read embedded BPF programs: %w", err)
	}
	one := spec.Copy()
	if err := configure(one, &Config{}, p.addresses()); err != nil {
		return err
	}
	one.Programs = map[string]*ebpf.ProgramSpec{lifecycleProgFePut: one.Programs[lifecycleProgFePut]}
	coll, err := ebpf.NewCollectionWithOptions(one, ebpf.CollectionOptions{Cache: p.types})
	if err != nil {
		return fmt.Errorf("load a program: %w", err)
	}
	coll.Close()
	return nil
}
