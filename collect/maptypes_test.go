// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/mapprof/mapprof/results"
)

// TestMapTypesAreNamedAsFilesHaveThem holds the table against cilium/ebpf, whose
// names files have had from the start.
func TestMapTypesAreNamedAsFilesHaveThem(t *testing.T) {
	seen := map[string]uint32{}
	for i, m := range results.MapTypes() {
		if m.Number != uint32(i) {
			t.Errorf("%s is %d, and stands at %d", m.Display, m.Number, i)
		}
		if m.Kernel == "" || m.Kernel != strings.ToLower(m.Kernel) || strings.Contains(m.Kernel, "-") {
			t.Errorf("%d: kernel name %q", i, m.Kernel)
		}
		if other, ok := seen[m.Kernel]; ok {
			t.Errorf("%d and %d are both %s", other, i, m.Kernel)
		}
		seen[m.Kernel] = m.Number
	}
	for n := range uint32(200) {
		if got, want := results.MapTypeNumbered(n).Display, ebpf.MapType(n).String(); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
		// The last one that the library knows has the highest number that it
		// names: a new one wants a line in the table.
		if named := !strings.HasPrefix(ebpf.MapType(n).String(), "MapType("); named && results.MapTypeNumbered(n).Kernel == "" {
			t.Errorf("%s (%d) has no kernel name", ebpf.MapType(n), n)
		}
	}
	for n, want := range map[uint32]ebpf.MapType{
		results.MapTypeHash: ebpf.Hash, results.MapTypeArray: ebpf.Array, results.MapTypePerCPUHash: ebpf.PerCPUHash,
		results.MapTypePerCPUArray: ebpf.PerCPUArray, results.MapTypeLRUHash: ebpf.LRUHash, results.MapTypeLRUPerCPUHash: ebpf.LRUCPUHash,
		results.MapTypeArrayOfMaps: ebpf.ArrayOfMaps, results.MapTypeHashOfMaps: ebpf.HashOfMaps,
		results.MapTypeDevmap: ebpf.DevMap, results.MapTypeDevmapHash: ebpf.DevMapHash,
		results.MapTypeProgArray: ebpf.ProgramArray, results.MapTypePerfEventArray: ebpf.PerfEventArray, results.MapTypeCgroupArray: ebpf.CGroupArray,
		results.MapTypeStackTrace: ebpf.StackTrace, results.MapTypeLPMTrie: ebpf.LPMTrie, results.MapTypeCPUMap: ebpf.CPUMap,
		results.MapTypeSockMap: ebpf.SockMap, results.MapTypeSockHash: ebpf.SockHash, results.MapTypeXSKMap: ebpf.XSKMap,
		results.MapTypeReusePortSockArray: ebpf.ReusePortSockArray, results.MapTypeQueue: ebpf.Queue, results.MapTypeStack: ebpf.Stack,
		results.MapTypeRingBuf: ebpf.RingBuf, results.MapTypeUserRingBuf: ebpf.UserRingbuf, results.MapTypeBloomFilter: ebpf.BloomFilter,
		results.MapTypeSkStorage: ebpf.SkStorage, results.MapTypeInodeStorage: ebpf.InodeStorage, results.MapTypeTaskStorage: ebpf.TaskStorage,
		results.MapTypeCgrpStorage: ebpf.CgroupStorage, results.MapTypeArena: ebpf.Arena,
	} {
		if n != uint32(want) {
			t.Errorf("%s is %d, not %d", want, uint32(want), n)
		}
	}
	if got := results.MapTypeNumbered(1<<32 - 1); got != (results.MapType{Number: 1<<32 - 1, Display: fmt.Sprintf("MapType(%d)", uint32(1<<32-1))}) {
		t.Errorf("the highest number: %+v", got)
	}
}
