// SPDX-License-Identifier: Apache-2.0

//go:build linux

package structops

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// opsName is the kernel's struct of functions, valuePrefix begins the name of the map's
// value that has one.
const (
	opsName     = "tcp_congestion_ops"
	valuePrefix = "bpf_struct_ops_"
)

// functions are those that the kernel asks for.
var functions = []string{"ssthresh", "cong_avoid", "undo_cwnd"}

// state is a struct_ops map's, as its value begins with after four bytes.
type state uint32

// The kernel's numbers of them.
const (
	stateInit state = iota
	stateInUse
	stateToBeFree
)

func (s state) String() string {
	if names := []string{"INIT", "INUSE", "TOBEFREE"}; int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("state %d", uint32(s))
}

const stateAt = 4

// layout is where things are in the value of a map.
type layout struct {
	bytes   uint32
	members map[string]uint32
}

// layoutOf reads it from the kernel's types.
func layoutOf(value *btf.Struct) (layout, error) {
	l := layout{bytes: value.Size, members: map[string]uint32{}}
	for _, m := range value.Members {
		ops, ok := btf.As[*btf.Struct](m.Type)
		if !ok || ops.Name != opsName {
			continue
		}
		for _, f := range ops.Members {
			l.members[f.Name] = (m.Offset + f.Offset).Bytes()
		}
	}
	for _, name := range append([]string{"name"}, functions...) {
		if at, ok := l.members[name]; !ok || at+8 > l.bytes {
			return l, fmt.Errorf("the kernel's struct %s has no member %s", opsName, name)
		}
	}
	return l, nil
}

// value is what a map is registered with: programs, and a name that no other has.
func (l layout) value(name string, programs map[string]*ebpf.Program) []byte {
	v := make([]byte, l.bytes)
	for member, p := range programs {
		binary.NativeEndian.PutUint64(v[l.members[member]:], uint64(p.FD()))
	}
	copy(v[l.members["name"]:], name)
	return v
}

// instance holds what maps are made of.
type instance struct {
	cfg    *Workload
	prefix string
	layout layout
	typeID btf.TypeID  // of the value, in the kernel's types
	types  *btf.Handle // the kernel wants some, and takes any
	coll   *ebpf.Collection
	tracer workloads.Tracer
	record func(ns int64)
	result workloads.Result
}

func newInstance(w *Workload) (_ *instance, err error) {
	i := &instance{cfg: w, prefix: mapops.UniqueName("mp_ops"), record: func(int64) {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, i.Close())
		}
	}()
	cache := btf.NewCache()
	kernel, err := cache.Kernel()
	if err != nil {
		return nil, fmt.Errorf("read the kernel's types: %w", err)
	}
	var value *btf.Struct
	if err := kernel.TypeByName(valuePrefix+opsName, &value); err != nil {
		return nil, fmt.Errorf("struct_ops map of %s: %w (the kernel needs CONFIG_BPF_JIT and CONFIG_INET)", opsName, err)
	}
	if i.typeID, err = kernel.TypeID(value); err != nil {
		return nil, err
	}
	if i.layout, err = layoutOf(value); err != nil {
		return nil, err
	}
	builder, err := btf.NewBuilder([]btf.Type{&btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}}, nil)
	if err != nil {
		return nil, err
	}
	if i.types, err = btf.NewHandle(builder); err != nil {
		return nil, fmt.Errorf("load types: %w", err)
	}
	spec := &ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{}}
	for _, name := range functions {
		// A window of two segments. No connection uses it.
		spec.Programs[name] = &ebpf.ProgramSpec{
			Name: "mp_" + name, Type: ebpf.StructOps, AttachTo: opsName + ":" + name, License: "Dual BSD/GPL",
			Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
		}
	}
	if i.coll, err = ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Cache: cache}); err != nil {
		return nil, fmt.Errorf("load programs of %s: %w", opsName, err)
	}
	return i, nil
}

// mapAttr is what BPF_MAP_CREATE takes, up to what 5.6 brought for these maps. The
// library decodes all types of the kernel for each.
type mapAttr struct {
	mapType, keySize, valueSize, maxEntries, flags, innerFD, node uint32
	name                                                          [16]byte
	ifindex, btfFD, keyType, valueType                            uint32
	kernelValueType                                               btf.TypeID
}

func (i *instance) newMap(name string) (*ebpf.Map, error) {
	attr := mapAttr{mapType: unix.BPF_MAP_TYPE_STRUCT_OPS, keySize: 4, valueSize: i.layout.bytes, maxEntries: 1, btfFD: uint32(i.types.FD()), kernelValueType: i.typeID}
	copy(attr.name[:len(attr.name)-1], name)
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_CREATE, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return nil, fmt.Errorf("create struct_ops map of %s: %w", opsName, errno)
	}
	return ebpf.NewMapFromFD(int(fd))
}

// WatchPrefix begins the names of the maps, and of no others.
func (i *instance) WatchPrefix() string { return i.prefix }

// Note is empty: nothing is arranged.
func (i *instance) Note() string { return "" }

// SetTracer gives it what times calls in the kernel.
func (i *instance) SetTracer(t workloads.Tracer) { i.tracer = t }

// SetRecorder implements workloads.Recorded.
func (i *instance) SetRecorder(record func(ns int64)) { i.record = record }

// Close unloads the programs.
func (i *instance) Close() error {
	if i.coll != nil {
		i.coll.Close()
	}
	if i.types != nil {
		return i.types.Close()
	}
	return nil
}
