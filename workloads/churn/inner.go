// SPDX-License-Identifier: Apache-2.0

//go:build linux

package churn

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// checkInner gives the inner maps the shape of their kind where no other is given,
// and refuses one that no kernel makes.
func (c *Workload) checkInner(strategy string) error {
	if strategy == results.StrategySync && !c.innerSet {
		c.Inner = innerDevmap
	}
	kind := c.innerKind()
	if strategy == results.StrategySync && !kind.MapFreeWaits {
		return fmt.Errorf("--inner %s: strategy sync needs inner maps whose map_free waits (use --inner %s, or leave --inner out)",
			c.Inner, strings.Join(waiting, ", "))
	}
	if c.fs != nil && !c.fs.Changed("inner-entries") {
		c.InnerEntries = kind.Entries
	}
	if c.fs != nil && !c.fs.Changed("inner-value-size") && kind.Name != innerDevmap {
		c.InnerValueSize = kind.Value
	}
	spec := c.innerSpec()
	if err := kind.Check("inner", spec.KeySize, spec.ValueSize, spec.MaxEntries); err != nil {
		return err
	}
	fill := uint64(c.InnerFill.N)
	switch {
	case c.InnerValueSize == 0 && kind.Value != 0: // a devmap's, which nothing takes from it
		return errors.New("--inner-value-size must be at least 1")
	case fill > 0 && !kind.Fills:
		return fmt.Errorf("--inner-fill: %s maps take no elements (these do: %s)", kind.Name, strings.Join(filling, ", "))
	case fill > uint64(spec.MaxEntries):
		return fmt.Errorf("--inner-fill must be at most --inner-entries (%d)", spec.MaxEntries)
	case fill > kind.MostKeys(spec.KeySize):
		return fmt.Errorf("--inner-fill %d: %s maps have at most %d keys of %d bytes", fill, kind.Name, kind.MostKeys(spec.KeySize), spec.KeySize)
	}
	return nil
}

// innerKind is what Check has found to be one.
func (c *Workload) innerKind() mapops.Kind {
	kind, _ := mapops.FindKind(c.Inner)
	return kind
}

func (c *Workload) innerSpec() *ebpf.MapSpec {
	kind := c.innerKind()
	key, value := kind.Key, c.InnerValueSize
	if c.InnerKeySize.Given {
		key = c.InnerKeySize.N
	}
	if kind.Name == innerDevmap {
		value = kind.Value
	}
	return kind.Spec(mapops.UniqueName(innerName), key, value, c.InnerEntries)
}

// innerBytes is what one of the inner maps takes with its elements.
func (c *Workload) innerBytes(cpus int) uint64 {
	return mapops.MapBytesHolding(c.innerSpec(), uint64(c.InnerFill.N), cpus)
}

// newInner makes an inner map with its elements.
func (i *instance) newInner() (*ebpf.Map, error) {
	m, err := ebpf.NewMap(i.inner)
	if err != nil {
		return nil, i.mapError("inner map", err)
	}
	if m.MaxEntries() != i.inner.MaxEntries { // the library's: no more than CPUs
		return nil, errors.Join(fmt.Errorf("create inner map: %s of %d entries has only %d here (give fewer --inner-entries)",
			i.cfg.Inner, i.inner.MaxEntries, m.MaxEntries()), m.Close())
	}
	if err := i.fillInner(m); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// fillInner puts the elements into it that it is to have.
func (i *instance) fillInner(m *ebpf.Map) error {
	if i.cfg.InnerFill.N == 0 {
		return nil
	}
	kind := i.cfg.innerKind()
	var value any = make([]byte, i.inner.ValueSize)
	if kind.Type == ebpf.PerCPUHash || kind.Type == ebpf.LRUCPUHash {
		value = [][]byte{make([]byte, i.inner.ValueSize)}
	}
	for n := range i.cfg.InnerFill.N {
		var key any // a queue has none
		if k := kind.NthKey(n, int(i.inner.KeySize)); k != nil {
			key = k
		}
		if err := m.Update(key, value, ebpf.UpdateAny); err != nil {
			return fmt.Errorf("put element %d into an inner map (%s): %w", n, i.cfg.Inner, err)
		}
	}
	return nil
}

// mapError says what couldn't be made and what would help.
func (i *instance) mapError(what string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, unix.EPERM):
		// The library would advise about RLIMIT_MEMLOCK, which isn't it.
		err, hint = unix.EPERM, " (it needs root, or CAP_BPF; or try --target vm)"
	case errors.Is(err, unix.ENOMEM):
		hint = " (out of memory: give the target more --memory, or make the inner maps smaller)"
	case errors.Is(err, unix.E2BIG) && i.inner.ValueSize > 4<<20:
		hint = " (before 63b8ce77b15e an array's value has at most 4 MiB: try a smaller --inner-value-size)"
	case errors.Is(err, unix.E2BIG):
		hint = " (is --inner-entries × --inner-value-size more than the kernel allows?)"
	case errors.Is(err, unix.EINVAL):
		hint = " (does this kernel have such maps, of these sizes?)"
	}
	return fmt.Errorf("create %s, %w%s", what, i.named(err), hint)
}

// outerError says why there is no outer map: whether the kernel doesn't make such
// an inner map, or makes it and doesn't take it.
func (i *instance) outerError(err error) error {
	what := fmt.Sprintf("outer map (%s, %d slots)", i.cfg.Outer, i.cfg.Slots)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOMEM) {
		return i.mapError(what, err)
	}
	alone, aloneErr := i.newInner()
	if aloneErr != nil {
		return aloneErr
	}
	return errors.Join(fmt.Errorf("create %s, %w (this kernel makes such maps, and refuses them as inner maps)", what, i.named(err)), alone.Close())
}

// named is a kernel's refusal of the inner map, with the name of the errno.
func (i *instance) named(err error) error {
	shape := fmt.Sprintf("inner maps %s with key %d, value %d, %d entries", i.cfg.Inner, i.inner.KeySize, i.inner.ValueSize, i.inner.MaxEntries)
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return fmt.Errorf("%s: %w", shape, err)
	}
	name := unix.ErrnoName(errno)
	if errno == enotsupp {
		name = "ENOTSUPP"
	}
	return fmt.Errorf("%s: %s, %w", shape, name, errno)
}

// enotsupp is the kernel's own, of its include/linux/errno.h.
const enotsupp = unix.Errno(524)
