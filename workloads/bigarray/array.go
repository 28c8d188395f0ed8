// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bigarray

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// instance holds the array of one trial and what leads to it.
type instance struct {
	cfg      *Workload
	strategy string
	mapName  string
	m        *ebpf.Map
	other    *ebpf.Map // one element of the same size
	outer    *ebpf.Map // of strategy rcu
	mapped   []byte
	tracer   workloads.Tracer
	result   workloads.Result
}

// spec is the array; instances name theirs.
func (b *Workload) spec() *ebpf.MapSpec {
	return &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: uint32(b.ValueSize), MaxEntries: b.entries(), Flags: unix.BPF_F_MMAPABLE}
}

func (i *instance) spec() *ebpf.MapSpec {
	spec := i.cfg.spec()
	spec.Name = i.mapName
	return spec
}

// create makes the array.
func (i *instance) create() (err error) {
	i.m, err = mapops.NewMap(i.spec())
	if errors.Is(err, unix.E2BIG) && i.cfg.Size > 4<<30-4096 && i.cfg.ValueSize <= 4<<20 {
		// bpf_map_charge_init() took no more than 32 bits.
		return fmt.Errorf("create array of %s: %w (up to 5.10 no map may have 4 GiB or more: there is no addressing past it to be wrong; try a --size below 4GiB)", &i.cfg.Size, unix.E2BIG)
	}
	return err
}

// createOther makes what the paths need beside the array.
func (i *instance) createOther() (err error) {
	spec := i.spec()
	spec.Name, spec.MaxEntries = "mp_other", 1
	if i.other, err = mapops.NewMap(spec); err != nil {
		return err
	}
	if i.strategy != results.StrategyRCU {
		return nil
	}
	i.outer, err = outerArrayOf(i.m)
	return err
}

// outerArrayOf makes an array of maps with m in slot 0. The library would
// make another map as large as m for a template.
func outerArrayOf(m *ebpf.Map) (*ebpf.Map, error) {
	attr := struct {
		mapType, keySize, valueSize, maxEntries, flags, innerFD uint32
	}{uint32(ebpf.ArrayOfMaps), 4, 4, 1, 0, uint32(m.FD())}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_CREATE, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return nil, fmt.Errorf("create outer map: %w", errno)
	}
	outer, err := ebpf.NewMapFromFD(int(fd))
	if err != nil {
		return nil, fmt.Errorf("create outer map: %w", err)
	}
	if err := outer.Update(uint32(0), m, ebpf.UpdateAny); err != nil {
		return nil, errors.Join(fmt.Errorf("put the array into its outer map: %w", err), outer.Close())
	}
	return outer, nil
}

// mapMemory maps all values into this process.
func (i *instance) mapMemory() (err error) {
	page := uint64(unix.Getpagesize())
	size := (uint64(i.cfg.entries())*i.cfg.stride() + page - 1) / page * page
	if i.mapped, err = unix.Mmap(i.m.FD(), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("mmap array of %d bytes: %w", size, err)
	}
	return nil
}

func (i *instance) unmapMemory() error {
	if i.mapped == nil {
		return nil
	}
	memory := i.mapped
	i.mapped = nil
	return unix.Munmap(memory)
}

// drop takes the array's last reference away, after which nothing of it is
// used. It says how many last references that were.
func (i *instance) drop() (puts uint64, err error) {
	err = i.unmapMemory()
	if i.m == nil {
		return 0, err
	}
	err = errors.Join(err, i.m.Close())
	i.m = nil
	if i.outer != nil {
		if derr := i.outer.Delete(uint32(0)); derr != nil {
			return 0, errors.Join(err, fmt.Errorf("delete slot 0 of the outer map: %w", derr))
		}
	}
	return 1, err
}

// WatchPrefix is the array's own name.
func (i *instance) WatchPrefix() string { return i.mapName }

// Note is empty: both strategies can be arranged on every kernel.
func (i *instance) Note() string { return "" }

// SetTracer gives it what times calls in the kernel.
func (i *instance) SetTracer(t workloads.Tracer) { i.tracer = t }

// Close frees what is left.
func (i *instance) Close() error {
	_, err := i.drop()
	errs := []error{err}
	for _, m := range []*ebpf.Map{i.outer, i.other} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	i.outer, i.other = nil, nil
	return errors.Join(errs...)
}
