// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lookup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/workloads/mapops"
)

// whyPastTheEnd says what is known of the one fault of this kind: percpu arrays,
// whose inlined lookup has the template's max_entries.
const whyPastTheEnd = "the lookup inlined by kernel commit db69718b8efa (6.10) takes the template's max_entries; from 7.1 the kernel refuses such a map"

// pastLargest is how many indexes are tried past the larger of both sizes.
const pastLargest = 64

// stampOf is what is written to an element; none is 0.
func stampOf(index uint32) uint64 { return 0xa5<<56 | uint64(index) + 1 }

// answer is what a lookup came to.
type answer struct {
	found bool
	value uint64
}

// proveIndexes stamps every element of an inner array by bpf(2), and looks each
// index up by every path: those below max_entries must lead to their element,
// those past it to none.
func (i *instance) proveIndexes(v innerVariant, outerKind string, outer, inner *ebpf.Map) (err error) {
	entries := inner.MaxEntries()
	call := mapops.NewElementCall(inner, i.valueBytes(inner))
	for index := range entries {
		if err := call.Stamp(index, stampOf(index)); err != nil {
			return fmt.Errorf("write element %d: %w", index, err)
		}
	}
	other, err := v.outerMap(outerKind)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, other.Close()) }()
	what := fmt.Sprintf("%s of %d entries in %s with a template of %d", v.name, entries, outerKind, v.template)
	last := max(entries, v.template) + pastLargest - 1
	var names []string
	failed := false
	for _, p := range i.innerPaths(v, outer, other, inner) {
		look, end, err := p.open()
		if errors.Is(err, errNoSuchPath) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s, by %s: %w", what, p.name, err)
		}
		failure, err := checkIndexes(entries, last, look)
		if err := errors.Join(err, end()); err != nil {
			return fmt.Errorf("%s, by %s: %w", what, p.name, err)
		}
		names = append(names, p.name)
		if failure != "" {
			failed = true
			if v.kind.Type == ebpf.PerCPUArray && p.name == mapops.PathInlined {
				failure += " (" + whyPastTheEnd + ")"
			}
			i.result.Failures = append(i.result.Failures, fmt.Sprintf("addressing: FAIL: %s, by %s: %s", what, p.name, failure))
		}
	}
	if !failed {
		i.result.Findings = append(i.result.Findings, fmt.Sprintf("addressing: ok: %s: each index from 0 to %d, by %s", what, last, strings.Join(names, ", ")))
	}
	return nil
}

// checkIndexes looks every index up to last up, and says which are answered wrong.
func checkIndexes(entries, last uint32, look func(uint32) (answer, error)) (string, error) {
	var past, missing, other []uint32
	for index := range last + 1 {
		a, err := look(index)
		switch {
		case err != nil:
			return "", fmt.Errorf("look up index %d: %w", index, err)
		case index >= entries && a.found:
			past = append(past, index)
		case index < entries && !a.found:
			missing = append(missing, index)
		case index < entries && a.value != stampOf(index):
			other = append(other, index)
		}
	}
	text := ""
	for _, w := range []struct {
		what    string
		indexes []uint32
	}{{"past the map's end and found", past}, {"in the map and not found", missing}, {"answered with another element", other}} {
		if n := len(w.indexes); n > 0 {
			if text != "" {
				text += "; "
			}
			text += fmt.Sprintf("%d indexes are %s, from %d to %d", n, w.what, w.indexes[0], w.indexes[n-1])
		}
	}
	return text, nil
}

// innerPath is one way to an inner map's elements. open makes it ready.
type innerPath struct {
	name string
	open func() (look func(uint32) (answer, error), end func() error, err error)
}

var errNoSuchPath = errors.New("this kernel has no such path")

// innerPaths are those by bpf(2) on the inner map itself, and those of programs that
// reach it through the outer one.
func (i *instance) innerPaths(v innerVariant, outer, other, inner *ebpf.Map) []innerPath {
	size := i.valueBytes(inner)
	paths := []innerPath{
		{mapops.PathSyscall, func() (func(uint32) (answer, error), func() error, error) {
			return bySyscall(mapops.NewElementCall(inner, size)), func() error { return nil }, nil
		}},
		{mapops.PathBatch, func() (func(uint32) (answer, error), func() error, error) {
			look, err := byBatch(mapops.NewBatchCall(inner, int(inner.MaxEntries())+1, size), size)
			return look, func() error { return nil }, err
		}},
	}
	programs := []string{mapops.PathInlined, mapops.PathHelper, mapops.PathPerCPUHelper}
	if v.kind.Type == ebpf.Array { // with BPF_F_INNER_MAP the kernel inlines no lookup
		programs = []string{mapops.PathHelper}
	}
	for _, path := range programs {
		paths = append(paths, innerPath{path, func() (func(uint32) (answer, error), func() error, error) {
			return byProgram(path, outer, other, inner.MaxEntries())
		}})
	}
	return paths
}

func bySyscall(call *mapops.ElementCall) func(uint32) (answer, error) {
	return func(index uint32) (answer, error) {
		switch err := call.Do(unix.BPF_MAP_LOOKUP_ELEM, index); {
		case errors.Is(err, unix.ENOENT):
			return answer{}, nil
		case err != nil:
			return answer{}, err
		}
		return answer{true, call.FirstWord()}, nil
	}
}

// byBatch takes the whole map at once.
func byBatch(call *mapops.BatchCall, size int) (func(uint32) (answer, error), error) {
	got, err := call.Do(unix.BPF_MAP_LOOKUP_BATCH, uint32(len(call.Keys)))
	switch {
	case errors.Is(err, unix.Errno(524)): // ENOTSUPP: percpu arrays before 5.13, f008d732ab18
		return nil, errNoSuchPath
	case err != nil && !errors.Is(err, unix.ENOENT): // ENOENT: that was the end
		return nil, err
	}
	elements := map[uint32]answer{}
	for n, key := range call.Keys[:got] {
		elements[key] = answer{true, binary.NativeEndian.Uint64(call.Values[n*size:])}
	}
	return func(index uint32) (answer, error) { return elements[index], nil }, nil
}

func byProgram(path string, outer, other *ebpf.Map, entries uint32) (func(uint32) (answer, error), func() error, error) {
	l, err := mapops.NewInnerLookup(path, outer, other)
	if errors.Is(err, unix.EINVAL) && path == mapops.PathPerCPUHelper {
		return nil, nil, errNoSuchPath // it came with 5.19, 07343110b293
	}
	if err != nil {
		return nil, nil, err
	}
	return func(index uint32) (answer, error) {
		found, value, err := l.Look(index, entries)
		return answer{found, value}, err
	}, l.Close, nil
}
