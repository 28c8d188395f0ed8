// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
)

// NoPrealloc ends the name of a hash that allocates its elements one by one.
const NoPrealloc = "-noprealloc"

// Kind is a kind of map as a parameter names it: a type, the shape that it has unless
// other sizes are given, and the sizes that it can have.
type Kind struct {
	Name                string
	Type                ebpf.MapType
	Flags               uint32
	Key, Value, Entries uint32 // of the shape; 0: it has none
	// keys and values are the only sizes that there can be; empty: any.
	keys, values []uint32
	// since is the first release of Linux that has it, where 5.10 hasn't.
	since [2]int
	// by is the commit that brought it.
	by string
	// LooksUp says that a program of any type can look it up.
	LooksUp bool
	// Fills says that elements can be put into it that it allocates, or counts.
	Fills bool
	// MapFreeWaits says that its map_free waits for a grace period itself.
	MapFreeWaits bool
}

// Kinds returns the table, by the numbers of the types: all that there are, with
// the name that the kernel has for them. Which of them may be an inner map is for
// the kernel to say.
func Kinds() []Kind { return slices.Clone(kinds) }

var kinds = makeKinds()

func makeKinds() []Kind {
	four, fourOrEight := []uint32{4}, []uint32{4, 8}
	shapes := map[uint32]Kind{
		results.MapTypeHash:               {Key: 4, Value: 8, Entries: 16, LooksUp: true, Fills: true},
		results.MapTypeArray:              {Key: 4, Value: 8, Entries: 16, keys: four, LooksUp: true},
		results.MapTypeProgArray:          {Key: 4, Value: 4, Entries: 16, keys: four, values: four},
		results.MapTypePerfEventArray:     {Key: 4, Value: 4, Entries: 1, keys: four, values: four},
		results.MapTypePerCPUHash:         {Key: 4, Value: 8, Entries: 16, LooksUp: true, Fills: true},
		results.MapTypePerCPUArray:        {Key: 4, Value: 8, Entries: 16, keys: four, LooksUp: true},
		results.MapTypeStackTrace:         {Key: 4, Value: 64, Entries: 16, keys: four},
		results.MapTypeCgroupArray:        {Key: 4, Value: 4, Entries: 16, keys: four, values: four},
		results.MapTypeLRUHash:            {Key: 4, Value: 8, Entries: 16, LooksUp: true, Fills: true},
		results.MapTypeLRUPerCPUHash:      {Key: 4, Value: 8, Entries: 16, LooksUp: true, Fills: true},
		results.MapTypeLPMTrie:            {Key: 8, Value: 8, Entries: 16, Flags: unix.BPF_F_NO_PREALLOC, LooksUp: true, Fills: true},
		results.MapTypeArrayOfMaps:        {Key: 4, Value: 4, Entries: 16, keys: four, values: four},
		results.MapTypeHashOfMaps:         {Key: 4, Value: 4, Entries: 16, values: four},
		results.MapTypeDevmap:             {Key: 4, Value: 4, Entries: 16, keys: four, MapFreeWaits: true},
		results.MapTypeSockMap:            {Key: 4, Value: 4, Entries: 16, keys: four, values: fourOrEight, MapFreeWaits: true},
		results.MapTypeCPUMap:             {Key: 4, Value: 4, Entries: 1, keys: four, values: fourOrEight, MapFreeWaits: true},
		results.MapTypeXSKMap:             {Key: 4, Value: 4, Entries: 16, keys: four, values: four, MapFreeWaits: true},
		results.MapTypeSockHash:           {Key: 4, Value: 4, Entries: 16, values: fourOrEight, MapFreeWaits: true},
		19 /* cgroup_storage */ :          {Key: 8, Value: 8},
		results.MapTypeReusePortSockArray: {Key: 4, Value: 4, Entries: 16, keys: four, values: fourOrEight},
		21 /* percpu_cgroup_storage */ :   {Key: 8, Value: 8},
		results.MapTypeQueue:              {Value: 8, Entries: 16, Fills: true},
		results.MapTypeStack:              {Value: 8, Entries: 16, Fills: true},
		results.MapTypeSkStorage:          {Key: 4, Value: 8, Flags: unix.BPF_F_NO_PREALLOC, keys: four, MapFreeWaits: true},
		results.MapTypeDevmapHash:         {Key: 4, Value: 4, Entries: 16, keys: four, values: fourOrEight, MapFreeWaits: true},
		results.MapTypeRingBuf:            {Entries: 4096},
		results.MapTypeInodeStorage:       {Key: 4, Value: 8, Flags: unix.BPF_F_NO_PREALLOC, keys: four, MapFreeWaits: true},
		results.MapTypeTaskStorage:        {Key: 4, Value: 8, Flags: unix.BPF_F_NO_PREALLOC, keys: four, MapFreeWaits: true, since: [2]int{5, 11}, by: "4cf1bc1f1045"},
		results.MapTypeBloomFilter:        {Value: 8, Entries: 16, Fills: true, since: [2]int{5, 16}, by: "9330986c0300"},
		results.MapTypeUserRingBuf:        {Entries: 4096, since: [2]int{6, 1}, by: "583c1f420173"},
		results.MapTypeCgrpStorage:        {Key: 4, Value: 8, Flags: unix.BPF_F_NO_PREALLOC, keys: four, MapFreeWaits: true, since: [2]int{6, 2}, by: "c4bcfb38a95e"},
		results.MapTypeArena:              {Entries: 16, Flags: unix.BPF_F_MMAPABLE, since: [2]int{6, 9}, by: "317460317a02"},
		26 /* struct_ops */ :              {Key: 4, Value: 8, Entries: 1, keys: four},
		34 /* insn_array */ :              {Key: 4, Value: 16, Entries: 16, keys: four, values: []uint32{16}, since: [2]int{6, 19}},
	}
	var list []Kind
	for _, m := range results.MapTypes() {
		k, ok := shapes[m.Number]
		if !ok {
			continue
		}
		k.Name, k.Type = strings.ReplaceAll(m.Kernel, "_", "-"), ebpf.MapType(m.Number)
		list = append(list, k)
		if m.Number == results.MapTypeHash || m.Number == results.MapTypePerCPUHash {
			k.Name, k.Flags = k.Name+NoPrealloc, unix.BPF_F_NO_PREALLOC
			list = append(list, k)
		}
	}
	return list
}

// KindNames lists the names of the kinds for which want is true.
func KindNames(want func(Kind) bool) []string {
	var names []string
	for _, k := range kinds {
		if want(k) {
			names = append(names, k.Name)
		}
	}
	return names
}

// FindKind finds a kind by its name.
func FindKind(name string) (Kind, bool) {
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return kinds[i], true
}

// Spec is a map of this kind with these sizes.
func (k Kind) Spec(name string, key, value, entries uint32) *ebpf.MapSpec {
	spec := &ebpf.MapSpec{Name: name, Type: k.Type, Flags: k.Flags, KeySize: key, ValueSize: value, MaxEntries: entries}
	switch k.Type {
	case ebpf.ArrayOfMaps, ebpf.HashOfMaps:
		spec.InnerMap = &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}
	case ebpf.SkStorage, ebpf.InodeStorage, ebpf.TaskStorage, ebpf.CgroupStorage:
		// The kernel wants to know the types of key and value.
		spec.Key = &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
		spec.Value = &btf.Array{Index: spec.Key, Type: &btf.Int{Name: "char", Size: 1, Encoding: btf.Signed}, Nelems: value}
	}
	return spec
}

// Check refuses sizes that no kernel takes for this kind, as far as its own rules
// are fixed. flag begins the names of the flags that give them.
func (k Kind) Check(flag string, key, value, entries uint32) error {
	size := func(what string, got, shape uint32, known []uint32) error {
		switch {
		case shape == 0 && got != 0:
			return fmt.Errorf("--%s-%s-size %d: %s maps have no %s (leave it out)", flag, what, got, k.Name, what)
		case shape != 0 && got == 0:
			return fmt.Errorf("--%s-%s-size must be at least 1", flag, what)
		case len(known) > 0 && !slices.Contains(known, got):
			return fmt.Errorf("--%s-%s-size %d: a %s of %s maps has %s bytes", flag, what, got, what, k.Name, either(known))
		}
		return nil
	}
	if err := size("key", key, k.Key, k.keys); err != nil {
		return err
	}
	if err := size("value", value, k.Value, k.values); err != nil {
		return err
	}
	ring := k.Type == ebpf.RingBuf || k.Type == ebpf.UserRingbuf
	switch {
	case k.Entries == 0 && entries != 0:
		return fmt.Errorf("--%s-entries %d: %s maps have no max_entries (leave it out)", flag, entries, k.Name)
	case k.Entries != 0 && entries == 0:
		return fmt.Errorf("--%s-entries must be at least 1", flag)
	case ring && (entries%pageBytes != 0 || entries&(entries-1) != 0):
		return fmt.Errorf("--%s-entries %d: %s maps have a power of two of bytes, whole pages of %d", flag, entries, k.Name, pageBytes)
	case k.Type == ebpf.LPMTrie && (key < 5 || key > 260):
		return fmt.Errorf("--%s-key-size %d: a key of lpm-trie maps has from 5 to 260 bytes, the first four for the prefix length", flag, key)
	}
	return CheckValue(flag+"-value-size", k.Type, uint64(key), uint64(value))
}

func either(sizes []uint32) string {
	texts := make([]string, len(sizes))
	for i, n := range sizes {
		texts[i] = fmt.Sprint(n)
	}
	return strings.Join(texts, " or ")
}

// CheckOn refuses a kind that a kernel of that release does not have.
func (k Kind) CheckOn(t workloads.Target, flag string) error {
	if k.since[0] == 0 || !t.Before(k.since[0], k.since[1]) {
		return nil
	}
	by := ""
	if k.by != "" {
		by = ", " + k.by
	}
	return fmt.Errorf("--%s %s: it has no such maps (they came with %d.%d%s)", flag, k.Name, k.since[0], k.since[1], by)
}

// NthKey is the nth key of a map of this kind, each another one, with so many bytes.
func (k Kind) NthKey(n uint32, size int) []byte {
	if size == 0 {
		return nil
	}
	key := make([]byte, size)
	part := key
	if k.Type == ebpf.LPMTrie {
		bits := uint32(size-4) * 8
		key[0], key[1] = byte(bits), byte(bits>>8)
		part = key[4:]
	}
	for i := range min(4, len(part)) {
		part[i] = byte(n >> (8 * i))
	}
	return key
}

// MostKeys is how many keys NthKey has for that size.
func (k Kind) MostKeys(size uint32) uint64 {
	switch {
	case size == 0:
		return 1 << 32
	case k.Type == ebpf.LPMTrie:
		size -= 4
	}
	return 1 << (8 * min(4, size))
}
