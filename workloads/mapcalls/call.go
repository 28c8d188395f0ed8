// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapcalls

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/workloads/mapops"
)

// op is a call of bpf(2).
type op struct {
	name    string
	cmd     uintptr
	batched bool
	reads   bool
	deletes bool
}

// ops are in an order in which the map is full at most times.
var ops = []op{
	{name: "lookup", cmd: unix.BPF_MAP_LOOKUP_ELEM, reads: true},
	{name: "update", cmd: unix.BPF_MAP_UPDATE_ELEM},
	{name: "delete", cmd: unix.BPF_MAP_DELETE_ELEM, deletes: true},
	{name: "lookup-batch", cmd: unix.BPF_MAP_LOOKUP_BATCH, batched: true, reads: true},
	{name: "update-batch", cmd: unix.BPF_MAP_UPDATE_BATCH, batched: true},
	{name: "delete-batch", cmd: unix.BPF_MAP_DELETE_BATCH, batched: true, deletes: true},
	{name: "lookup-delete-batch", cmd: unix.BPF_MAP_LOOKUP_AND_DELETE_BATCH, batched: true, reads: true, deletes: true},
}

func opNames() (names []string) {
	for _, o := range ops {
		names = append(names, o.name)
	}
	return names
}

func findOp(name string) op {
	return ops[slices.IndexFunc(ops, func(o op) bool { return o.name == name })]
}

// filled is a map with an element for each key, and what is in them.
type filled struct {
	kind      mapops.Kind
	m         *ebpf.Map
	inner     []*ebpf.Map // of a map of maps
	keys      []byte      // all, one after the other
	written   []byte      // their values, as an update has them
	read      []byte      // as a lookup gives them
	valueSize int         // in bytes, of every CPU together
	// what a batched lookup gave
	readKeys, cursor []byte
}

// batchAttr is the part of union bpf_attr for many elements.
type batchAttr struct {
	in, out, keys, values uint64
	count, fd             uint32
	elemFlags, flags      uint64
}

func newFilled(w *Workload, k mapops.Kind, cpus int) (_ *filled, err error) {
	spec := w.spec(k)
	f := &filled{kind: k, valueSize: int(k.Value)}
	if k.Type == ebpf.PerCPUArray || k.Type == ebpf.PerCPUHash || k.Type == ebpf.LRUCPUHash {
		f.valueSize = int(mapops.Stride(uint64(k.Value))) * cpus
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if f.m, err = mapops.NewMap(spec); err != nil {
		return nil, err
	}
	n := int(w.Batch)
	f.read, f.readKeys, f.cursor = make([]byte, n*f.valueSize), make([]byte, n*int(k.Key)), make([]byte, k.Key)
	for key := range n {
		f.keys = append(f.keys, k.NthKey(uint32(key), int(k.Key))...)
		value, wanted := make([]byte, f.valueSize), uint32(key)+1
		if spec.InnerMap != nil {
			inner, err := mapops.NewMap(spec.InnerMap)
			if err != nil {
				return nil, err
			}
			f.inner, wanted = append(f.inner, inner), uint32(inner.FD())
		}
		for at := 0; at < len(value); at += 8 {
			binary.NativeEndian.PutUint32(value[at:], wanted)
		}
		f.written = append(f.written, value...)
	}
	return f, f.fill(n)
}

// fill writes the first n elements by single updates.
func (f *filled) fill(n int) error {
	for key := range n {
		if _, err := f.do(op{cmd: unix.BPF_MAP_UPDATE_ELEM}, key); err != nil {
			return fmt.Errorf("fill element %d of %s: %w", key, f.kind.Name, err)
		}
	}
	return nil
}

func address(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&b[0]))) }

// do makes one call, of one key or from the first on, and says how many elements the kernel
// was done with. The end of a map is no error.
func (f *filled) do(o op, key int) (n int, err error) {
	values := f.written
	if o.reads {
		values = f.read
	}
	fd, elements := uint32(f.m.FD()), len(f.keys)/int(f.kind.Key)
	one := mapops.ElementAttr{FD: fd, Key: address(f.keys[key*int(f.kind.Key):]), Value: address(values[key*f.valueSize:])}
	if o.cmd == unix.BPF_MAP_DELETE_ELEM {
		one.Value = 0 // the kernel refuses another
	}
	many := batchAttr{out: address(f.cursor), keys: address(f.keys), values: address(values), count: uint32(elements), fd: fd}
	attr, size := unsafe.Pointer(&one), unsafe.Sizeof(one)
	if o.batched {
		attr, size = unsafe.Pointer(&many), unsafe.Sizeof(many)
		if o.reads {
			many.keys = address(f.readKeys)
		}
	}
	_, _, errno := unix.Syscall(unix.SYS_BPF, o.cmd, uintptr(attr), size)
	runtime.KeepAlive(f)
	switch {
	case o.batched && o.reads && errno == unix.ENOENT:
		return int(many.count), nil
	case errno != 0:
		return 0, errno
	case o.batched:
		return int(many.count), nil
	}
	return 1, nil
}

// check holds what the last lookup of n elements gave against what was written: of a map of
// maps the inner map's id. Single lookups are of that key.
func (f *filled) check(o op, key, n int) error {
	if o.batched && n != len(f.keys)/int(f.kind.Key) {
		return fmt.Errorf("gave %d elements of %d", n, len(f.keys)/int(f.kind.Key))
	}
	for at := range n {
		of, got := key, f.read[key*f.valueSize:][:f.valueSize]
		if o.batched {
			got = f.read[at*f.valueSize:][:f.valueSize]
			if of = f.indexOf(f.readKeys[at*int(f.kind.Key):][:f.kind.Key]); of < 0 {
				return errors.New("gave a key that the map hasn't")
			}
		}
		want := slices.Clone(f.written[of*f.valueSize:][:f.valueSize])
		if f.inner != nil {
			id, err := mapops.MapID(f.inner[of])
			if err != nil {
				return err
			}
			binary.NativeEndian.PutUint32(want, uint32(id))
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("of key %d gave % x, not % x", of, got, want)
		}
	}
	return nil
}

// indexOf is the number of a key, -1: it is none.
func (f *filled) indexOf(key []byte) int {
	for n := 0; (n+1)*len(key) <= len(f.keys); n++ {
		if slices.Equal(f.keys[n*len(key):][:len(key)], key) {
			return n
		}
	}
	return -1
}

// Close drops the map and its inner maps.
func (f *filled) Close() error {
	var errs []error
	if f.m != nil {
		errs = append(errs, f.m.Close())
	}
	for _, m := range f.inner {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}
