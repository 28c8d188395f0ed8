// SPDX-License-Identifier: Apache-2.0

package mapmemory

import "github.com/mapprof/mapprof/results"

// Flags of maps that change what they take.
const (
	FlagNoPrealloc  = 1 << 0
	FlagNoCommonLRU = 1 << 1
	FlagMmapable    = 1 << 10
)

// Map is what a map's memory depends on.
type Map struct {
	Type, Flags         uint32
	Key, Value, Entries uint32
	// Elements are those that it has allocated one by one.
	Elements uint64
	// ExtraElements says that it has one more per CPU, for the update of a full map.
	ExtraElements bool
}

// Structs are the structs whose sizes the formulas ask for.
var Structs = []string{
	"bpf_arena", "bpf_array", "bpf_bloom_filter", "bpf_cpu_map", "bpf_dtab", "bpf_htab",
	"bpf_local_storage_map", "bpf_local_storage_map_bucket", "bpf_queue_stack", "bpf_ringbuf_map",
	"bpf_shtab", "bpf_shtab_bucket", "bpf_stab", "bpf_stack_map", "bpf_struct_ops_map",
	"bpf_struct_ops_value", "bucket", "hlist_head", "htab_elem",
	"lpm_trie", "lpm_trie_node", "reuseport_array", "stack_map_bucket", "xsk_map",
}

// Kernel is what it depends on of a kernel.
type Kernel struct {
	CPUs, PageSize uint64
	// Struct is the size of a struct in bytes.
	Struct func(name string) uint64
	// Locks is HASHTAB_MAP_LOCK_COUNT: a hash map's counters per CPU that 6.18's
	// conversion to rqspinlock did away with, and that 5.10 hadn't yet.
	Locks uint64
}

// Part is a number of allocations of a map that are alike.
type Part struct {
	Count, Bytes uint64
	// PerCPU says that each is one of that many bytes on every CPU.
	PerCPU bool
}

const (
	pointer = 8
	llNode  = 8 // struct llist_node, before what bpf_mem_alloc gives

	// Of struct bpf_ringbuf, before its data: the page of the struct, the
	// consumer's and the producer's.
	ringPages = 3
	// How many hash functions a bloom filter has where nothing is said
	// (map_extra), and its bits for each element and function.
	bloomHashes, bloomBitsOf5 = 5, 7
)

// AppendParts appends the allocations of a map, with the formulas of the kernel's
// map_mem_usage callbacks (90a5527d7686, 6.4), and the struct of an LPM trie and of
// an arena, which these leave out. A struct_ops map's trampolines are one page, as there. It appends nothing for a type without a formula.
// Not counted, as there: sockets and programs in a map, storage of single sockets,
// inodes, tasks and cgroups, an arena's pages, and free elements that
// bpf_mem_alloc has in store.
func AppendParts(parts []Part, m Map, k Kernel) []Part {
	entries, key, value := uint64(m.Entries), roundUp8(uint64(m.Key)), roundUp8(uint64(m.Value))
	one := func(bytes uint64) []Part { return append(parts, Part{Count: 1, Bytes: bytes}) }
	switch m.Type {
	case results.MapTypeArray:
		if m.Flags&FlagMmapable != 0 {
			return one(k.pages(k.Struct("bpf_array")) + k.pages(entries*value))
		}
		return one(k.Struct("bpf_array") + entries*value)
	case results.MapTypePerCPUArray:
		return append(one(k.Struct("bpf_array")+entries*pointer), Part{Count: entries, Bytes: value, PerCPU: true})
	case results.MapTypeArrayOfMaps, results.MapTypeProgArray, results.MapTypePerfEventArray, results.MapTypeCgroupArray:
		return one(k.Struct("bpf_array") + entries*pointer)
	case results.MapTypeHash, results.MapTypePerCPUHash, results.MapTypeLRUHash, results.MapTypeLRUPerCPUHash, results.MapTypeHashOfMaps:
		return appendHash(parts, m, k, entries, key, value)
	case results.MapTypeLPMTrie:
		// The key begins with the length of the prefix.
		data := max(4, uint64(m.Key)) - 4
		return append(one(k.Struct("lpm_trie")), Part{Count: m.Elements, Bytes: k.Struct("lpm_trie_node") + data + uint64(m.Value)})
	case results.MapTypeStackTrace:
		return append(one(k.Struct("bpf_stack_map")+roundUpPow2(entries)*pointer),
			Part{Count: 1, Bytes: entries * (k.Struct("stack_map_bucket") + uint64(m.Value))})
	case results.MapTypeDevmap:
		return append(one(k.Struct("bpf_dtab")), Part{Count: 1, Bytes: entries * pointer})
	case results.MapTypeDevmapHash:
		return append(one(k.Struct("bpf_dtab")), Part{Count: 1, Bytes: roundUpPow2(entries) * k.Struct("hlist_head")})
	case results.MapTypeCPUMap:
		return append(one(k.Struct("bpf_cpu_map")), Part{Count: 1, Bytes: entries * pointer})
	case results.MapTypeSockMap:
		return append(one(k.Struct("bpf_stab")), Part{Count: 1, Bytes: entries * pointer})
	case results.MapTypeSockHash:
		return append(one(k.Struct("bpf_shtab")), Part{Count: 1, Bytes: roundUpPow2(entries) * k.Struct("bpf_shtab_bucket")})
	case results.MapTypeXSKMap:
		return one(k.Struct("xsk_map") + entries*pointer)
	case results.MapTypeReusePortSockArray:
		return one(k.Struct("reuseport_array") + entries*pointer)
	case results.MapTypeQueue, results.MapTypeStack:
		return one(k.Struct("bpf_queue_stack") + (entries+1)*uint64(m.Value))
	case results.MapTypeRingBuf, results.MapTypeUserRingBuf:
		pages := entries / k.PageSize // of data, each in the table of pages twice
		return append(one(k.Struct("bpf_ringbuf_map")),
			Part{Count: 1, Bytes: (ringPages + 2*pages) * pointer}, Part{Count: ringPages + pages, Bytes: k.PageSize})
	case results.MapTypeBloomFilter:
		return one(k.Struct("bpf_bloom_filter") + bloomBytes(entries))
	case results.MapTypeSkStorage, results.MapTypeInodeStorage, results.MapTypeTaskStorage, results.MapTypeCgrpStorage:
		buckets := roundUpPow2(max(2, k.CPUs))
		return append(one(k.Struct("bpf_local_storage_map")), Part{Count: 1, Bytes: buckets * k.Struct("bpf_local_storage_map_bucket")})
	case results.MapTypeStructOps:
		// The value is there twice, once behind the struct: user space's and the kernel's.
		// Not counted: the tables of its programs, one or two pointers each.
		return append(one(k.Struct("bpf_struct_ops_map")+uint64(m.Value)-min(uint64(m.Value), k.Struct("bpf_struct_ops_value"))),
			Part{Count: 1, Bytes: uint64(m.Value)}, Part{Count: 1, Bytes: k.PageSize}) // of trampolines
	case results.MapTypeArena:
		return one(k.Struct("bpf_arena"))
	}
	return parts
}

func appendHash(parts []Part, m Map, k Kernel, entries, key, value uint64) []Part {
	percpu := m.Type == results.MapTypePerCPUHash || m.Type == results.MapTypeLRUPerCPUHash
	lru := m.Type == results.MapTypeLRUHash || m.Type == results.MapTypeLRUPerCPUHash
	element := k.Struct("htab_elem") + key
	if percpu {
		element += pointer
	} else {
		element += value
	}
	parts = append(parts, Part{Count: 1, Bytes: k.Struct("bpf_htab")},
		Part{Count: 1, Bytes: k.Struct("bucket") * roundUpPow2(entries)})
	if k.Locks > 0 {
		parts = append(parts, Part{Count: k.Locks, Bytes: 4, PerCPU: true})
	}
	if m.Flags&FlagNoPrealloc != 0 {
		parts = append(parts, Part{Count: m.Elements, Bytes: element + llNode})
		if percpu {
			parts = append(parts, Part{Count: m.Elements, Bytes: llNode + pointer}, Part{Count: m.Elements, Bytes: value, PerCPU: true})
		}
		return parts
	}
	// LRU maps round the entries up to one list per CPU; others may have an
	// extra element per CPU, which those of maps have lost by 7.2.
	n := entries
	if lru && m.Flags&FlagNoCommonLRU != 0 {
		n = (entries + k.CPUs - 1) / k.CPUs * k.CPUs
	}
	if m.ExtraElements {
		n += k.CPUs
	}
	parts = append(parts, Part{Count: 1, Bytes: element * n})
	if percpu {
		parts = append(parts, Part{Count: n, Bytes: value, PerCPU: true})
	} else if !lru {
		parts = append(parts, Part{Count: 1, Bytes: pointer, PerCPU: true})
	}
	return parts
}

// bloomBytes is the size of a bloom filter's bits.
func bloomBytes(entries uint64) uint64 {
	bits := entries * bloomHashes / 5 * bloomBitsOf5
	switch {
	case entries*bloomHashes > 1<<32-1, bits > 1<<31:
		bits = 1 << 32
	case bits <= 64:
		bits = 64
	}
	return roundUpPow2(bits) / 8
}

func (k Kernel) pages(n uint64) uint64 { return (n + k.PageSize - 1) / k.PageSize * k.PageSize }

func roundUp8(n uint64) uint64 { return (n + 7) &^ 7 }

func roundUpPow2(n uint64) uint64 {
	p := uint64(1)
	for p < n {
		p <<= 1
	}
	return p
}
