// SPDX-License-Identifier: Apache-2.0

package results

import (
	"slices"
	"strconv"
)

// Numbers of the map types that something here treats in a way of its own.
const (
	MapTypeHash               = 1
	MapTypeArray              = 2
	MapTypeProgArray          = 3
	MapTypePerfEventArray     = 4
	MapTypePerCPUHash         = 5
	MapTypePerCPUArray        = 6
	MapTypeStackTrace         = 7
	MapTypeCgroupArray        = 8
	MapTypeLRUHash            = 9
	MapTypeLRUPerCPUHash      = 10
	MapTypeLPMTrie            = 11
	MapTypeArrayOfMaps        = 12
	MapTypeHashOfMaps         = 13
	MapTypeDevmap             = 14
	MapTypeSockMap            = 15
	MapTypeCPUMap             = 16
	MapTypeXSKMap             = 17
	MapTypeSockHash           = 18
	MapTypeReusePortSockArray = 20
	MapTypeQueue              = 22
	MapTypeStack              = 23
	MapTypeSkStorage          = 24
	MapTypeDevmapHash         = 25
	MapTypeStructOps          = 26
	MapTypeRingBuf            = 27
	MapTypeInodeStorage       = 28
	MapTypeTaskStorage        = 29
	MapTypeBloomFilter        = 30
	MapTypeUserRingBuf        = 31
	MapTypeCgrpStorage        = 32
	MapTypeArena              = 33
)

// MapType is a type of the kernel's maps.
type MapType struct {
	Number uint32 // enum bpf_map_type
	Kernel string // BPF_MAP_TYPE_…, in lower case
	// Display is the name in deaths and profiles. Files have it: it stays.
	Display string
}

// mapTypes is the table, by number. 19 and 32 differ in one capital letter.
var mapTypes = []MapType{
	{0, "unspec", "UnspecifiedMap"},
	{1, "hash", "Hash"},
	{2, "array", "Array"},
	{3, "prog_array", "ProgramArray"},
	{4, "perf_event_array", "PerfEventArray"},
	{5, "percpu_hash", "PerCPUHash"},
	{6, "percpu_array", "PerCPUArray"},
	{7, "stack_trace", "StackTrace"},
	{8, "cgroup_array", "CGroupArray"},
	{9, "lru_hash", "LRUHash"},
	{10, "lru_percpu_hash", "LRUCPUHash"},
	{11, "lpm_trie", "LPMTrie"},
	{12, "array_of_maps", "ArrayOfMaps"},
	{13, "hash_of_maps", "HashOfMaps"},
	{14, "devmap", "DevMap"},
	{15, "sockmap", "SockMap"},
	{16, "cpumap", "CPUMap"},
	{17, "xskmap", "XSKMap"},
	{18, "sockhash", "SockHash"},
	{19, "cgroup_storage", "CGroupStorage"},
	{20, "reuseport_sockarray", "ReusePortSockArray"},
	{21, "percpu_cgroup_storage", "PerCPUCGroupStorage"},
	{22, "queue", "Queue"},
	{23, "stack", "Stack"},
	{24, "sk_storage", "SkStorage"},
	{25, "devmap_hash", "DevMapHash"},
	{26, "struct_ops", "StructOpsMap"},
	{27, "ringbuf", "RingBuf"},
	{28, "inode_storage", "InodeStorage"},
	{29, "task_storage", "TaskStorage"},
	{30, "bloom_filter", "BloomFilter"},
	{31, "user_ringbuf", "UserRingbuf"},
	{32, "cgrp_storage", "CgroupStorage"},
	{33, "arena", "Arena"},
	{34, "insn_array", "MapType(34)"}, // as in files from before it was known
}

// MapTypes returns the table, by number.
func MapTypes() []MapType { return slices.Clone(mapTypes) }

// MapTypeNumbered returns the map type of that number. One that isn't known has
// no kernel name, and its number to be shown.
func MapTypeNumbered(n uint32) MapType {
	if uint64(n) < uint64(len(mapTypes)) {
		return mapTypes[n]
	}
	return MapType{Number: n, Display: "MapType(" + strconv.FormatUint(uint64(n), 10) + ")"}
}
