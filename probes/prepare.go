// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// Prepared is what Attach needs of this kernel and of this program, which takes long to
// read: under emulation half a second.
type Prepared struct {
	types *btf.Cache // the kernel's BTF, decoded once
	spec  func() (*ebpf.CollectionSpec, error)
	// addresses are asked of kernels from 6.2 on, and read out of the symbols of those before.
	addresses func() addresses
	reading   sync.WaitGroup
}

// Prepare begins to read that in the background, where Warm has not. One Attach takes it.
func Prepare() *Prepared {
	if p := warmed.Swap(nil); p != nil {
		return p
	}
	return prepare(btf.NewCache())
}

func prepare(types *btf.Cache) *Prepared {
	p := &Prepared{types: types, spec: sync.OnceValues(loadLifecycle), addresses: sync.OnceValue(kernelAddresses)}
	p.reading.Go(func() { _, _ = p.types.Kernel() }) // who asks for it waits, and has the error
	p.reading.Go(func() { _, _ = p.spec() })
	p.reading.Go(func() { _ = p.addresses() })
	return p
}

// Wait waits until nothing is read any more.
func (p *Prepared) Wait() { p.reading.Wait() }

// ReadTypes decodes the kernel's BTF once more, for who measures what that takes.
func ReadTypes() error {
	_, err := btf.NewCache().Kernel()
	return err
}
