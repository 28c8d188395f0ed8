// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/workloads"
)

// memAvailable is what the kernel says can be allocated without swapping, in
// bytes.
func memAvailable() (uint64, error) {
	m, err := meminfo()
	return m["MemAvailable"], err
}

// VmallocUsed is what is allocated by vmalloc, in bytes; nothing that user
// space does with memory of its own changes it.
func VmallocUsed() (uint64, error) {
	m, err := meminfo()
	return m["VmallocUsed"], err
}

// meminfo reads these two, in bytes.
func meminfo() (map[string]uint64, error) {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return nil, fmt.Errorf("read the target's memory: %w", err)
	}
	m := map[string]uint64{}
	for line := range strings.Lines(string(data)) {
		name, rest, _ := strings.Cut(line, ":")
		if !slices.Contains([]string{"MemAvailable", "VmallocUsed"}, name) {
			continue
		}
		kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 54)
		if err != nil {
			return nil, fmt.Errorf("read the target's memory: %w", err)
		}
		m[name] = kib << 10
	}
	if len(m) != 2 {
		return nil, errors.New("read the target's memory: /proc/meminfo says nothing of it")
	}
	return m, nil
}

// TargetMemoryError is a target too small for what was asked for.
type TargetMemoryError struct{ NeedBytes, AvailableBytes uint64 }

func (e *TargetMemoryError) Error() string {
	need := flagvalue.Size((e.NeedBytes + 1<<20 - 1) >> 20 << 20)
	have := flagvalue.Size(e.AvailableBytes >> 20 << 20)
	return fmt.Sprintf("make maps: they take %s, and the target has %s available (make them smaller, or give a VM more --memory)", &need, &have)
}

// ThreadBytes is what a thread takes that runs a BPF program over and over: its
// stacks, and the runtime's for it.
const ThreadBytes = 128 << 10

// TracerBytes is what timing calls in the kernel takes: the kernel's types, decoded
// for the probes.
const TracerBytes = 96 << 20

// Ready is what a workload's Setup begins with: its parameters hold, and its maps have room
// on a machine of so many possible CPUs.
func Ready(w workloads.Workload, strategy string) (cpus int, err error) {
	if err := w.Check(strategy); err != nil {
		return 0, err
	}
	if cpus, err = ebpf.PossibleCPU(); err != nil {
		return 0, err
	}
	return cpus, CheckMemory(w.MemoryBytes(strategy, cpus))
}

// CheckMemory refuses maps of that many bytes that would set off the OOM
// killer, with a TargetMemoryError.
func CheckMemory(need uint64) error {
	available, err := memAvailable()
	if err != nil {
		return err
	}
	if need > available {
		return &TargetMemoryError{NeedBytes: need, AvailableBytes: available}
	}
	return nil
}
