// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/target/task"
)

// probeCostConfig is the task's request.
type probeCostConfig struct {
	Bpftrace string // its path there; empty: not compared with
}

// probeCost is what one lookup costs with one kind of probe attached. On the
// icount clock a nanosecond is an instruction.
type probeCost struct {
	Attached string  `json:"attached"`
	N        int     `json:"n"`
	Median   int64   `json:"median"`
	P99      int64   `json:"p99"`
	Mean     float64 `json:"mean"` // of the calls that no interrupt came into
	Seen     uint64  `json:"seen"` // lookups that the probe timed; 0 where it doesn't say
}

const (
	benchFunction = "array_map_lookup_elem"
	benchLookups  = 20000
	benchSample   = 16
)

// Rows of the table; the second column of the first is what the others add to.
const (
	benchNothing  = "nothing"
	benchEmpty    = "empty fentry + empty fexit (the floor)"
	benchClock    = "the same with two clock reads"
	benchOwn      = "mapprof: fentry + fexit, 2-digit HDR histogram"
	benchOwnMany  = "mapprof: the same as on several CPUs"
	benchSampled  = "mapprof: one call in 16 timed (--sample 16)"
	benchMany16   = "mapprof: the same as on several CPUs, one in 16"
	benchSession  = "empty fsession"
	benchOwnSess  = "mapprof: the same as fsession"
	benchBpftrace = "bpftrace: kfunc + kretfunc, hist()"
)

// bpftraceScript times the same function in the way of the tool's manual.
const bpftraceScript = `BEGIN { printf("attached\n"); }
kfunc:vmlinux:` + benchFunction + ` { @start[tid] = nsecs; }
kretfunc:vmlinux:` + benchFunction + ` /@start[tid]/ { @ns = hist(nsecs - @start[tid]); delete(@start[tid]); }`

// measureProbeCosts measures one after the other in this boot.
func measureProbeCosts(_ context.Context, _ *task.Env, c probeCostConfig) ([]probeCost, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "bench", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 16})
	if err != nil {
		return nil, fmt.Errorf("create map: %w", err)
	}
	defer m.Close()
	if err := settleClock(); err != nil {
		return nil, err
	}
	debug.SetGCPercent(-1)
	runtime.LockOSThread()
	var costs []probeCost
	add := func(name string, measure func() (probeCost, error)) error {
		cost, err := measure()
		if err != nil {
			return fmt.Errorf("measure with %s attached: %w", name, err)
		}
		cost.Attached = name
		costs = append(costs, cost)
		return nil
	}
	plain := func() (probeCost, error) { return timeLookups(m) }
	if err := errors.Join(
		add(benchNothing, plain),
		add(benchEmpty, func() (probeCost, error) { return withLookupProbe(m, probes.LookupConfig{Empty: true}) }),
		add(benchClock, func() (probeCost, error) { return withLookupProbe(m, probes.LookupConfig{Empty: true, Clock: true}) }),
		add(benchOwn, func() (probeCost, error) { return withLookupProbe(m, probes.LookupConfig{}) }),
		add(benchOwnMany, func() (probeCost, error) { return withLookupProbe(m, probes.LookupConfig{ManyCPUs: true}) }),
		add(benchSampled, func() (probeCost, error) { return withLookupProbe(m, probes.LookupConfig{Sample: benchSample}) }),
		add(benchMany16, func() (probeCost, error) {
			return withLookupProbe(m, probes.LookupConfig{Sample: benchSample, ManyCPUs: true})
		}),
	); err != nil {
		return nil, err
	}
	if probes.HasSessions() {
		if err := errors.Join(
			add(benchSession, func() (probeCost, error) { return withLookupProbe(m, probes.LookupConfig{Session: true, Empty: true}) }),
			add(benchOwnSess, func() (probeCost, error) { return withLookupProbe(m, probes.LookupConfig{Session: true}) }),
		); err != nil {
			return nil, err
		}
	}
	if c.Bpftrace != "" {
		if err := add(benchBpftrace, func() (probeCost, error) { return withBpftrace(m, c.Bpftrace) }); err != nil {
			return nil, err
		}
	}
	// Once more, to show that nothing has drifted.
	if err := add(benchNothing+" (again)", plain); err != nil {
		return nil, err
	}
	return costs, nil
}

func withLookupProbe(m *ebpf.Map, cfg probes.LookupConfig) (_ probeCost, err error) {
	cfg.Function, cfg.Map = benchFunction, m
	p, err := probes.AttachLookup(cfg)
	if err != nil {
		return probeCost{}, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	c, err := timeLookups(m)
	if err != nil || cfg.Empty {
		return c, err
	}
	counts, err := p.Counts()
	if err != nil {
		return c, err
	}
	c.Seen = max(counts.Count, counts.Seen)
	if c.Seen < benchLookups {
		return c, fmt.Errorf("%d lookups, the probe saw %d and timed %d (missed: %v)", benchLookups, c.Seen, counts.Count, counts.Missed)
	}
	return c, nil
}

func withBpftrace(m *ebpf.Map, path string) (_ probeCost, err error) {
	cmd := exec.Command(path, "-e", bpftraceScript)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return probeCost{}, err
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return probeCost{}, err
	}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if strings.TrimSpace(line) == "attached" {
			break
		}
		if err != nil {
			return probeCost{}, fmt.Errorf("bpftrace ended before it was attached: %w", errors.Join(cmd.Wait(), errors.New(stderr.String())))
		}
	}
	c, err := timeLookups(m)
	if err != nil {
		return c, err
	}
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		return c, err
	}
	rest, err := io.ReadAll(lines)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return c, fmt.Errorf("%w: %s", err, stderr.String())
	}
	// [256, 512)   4990 |@@@@|
	for line := range strings.Lines(string(rest)) {
		if _, after, ok := strings.Cut(line, ")"); ok && strings.HasPrefix(line, "[") {
			var n uint64
			if _, err := fmt.Sscan(after, &n); err == nil {
				c.Seen += n
			}
		}
	}
	if c.Seen < benchLookups {
		return c, fmt.Errorf("%d lookups, bpftrace timed %d:\n%s", benchLookups, c.Seen, rest)
	}
	return c, nil
}

// timeLookups times each of many BPF_MAP_LOOKUP_ELEM calls by itself.
func timeLookups(m *ebpf.Map) (probeCost, error) {
	key, value := new(uint32), new(uint64)
	attr := struct {
		fd, pad    uint32
		key, value uint64
		flags      uint64
	}{fd: uint32(m.FD()), key: uint64(uintptr(unsafe.Pointer(key))), value: uint64(uintptr(unsafe.Pointer(value)))}
	times := make([]int64, benchLookups)
	for i := -benchLookups / 10; i < benchLookups; i++ {
		begin := time.Now()
		_, _, errno := unix.RawSyscall(unix.SYS_BPF, unix.BPF_MAP_LOOKUP_ELEM, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
		took := time.Since(begin)
		if errno != 0 {
			return probeCost{}, fmt.Errorf("look up: %w", errno)
		}
		if i >= 0 { // the first are for warming up
			times[i] = took.Nanoseconds()
		}
	}
	runtime.KeepAlive(key)
	runtime.KeepAlive(value)
	slices.Sort(times)
	c := probeCost{N: len(times), Median: times[len(times)/2], P99: times[len(times)*99/100]}
	// A tick takes 800 instructions, a call that is timed 150 more than one that is not.
	quiet, _ := slices.BinarySearch(times, c.Median+400)
	for _, t := range times[:quiet] {
		c.Mean += float64(t) / float64(quiet)
	}
	return c, nil
}

// clockSource is the one that reads take their time from.
const clockSource = "/sys/devices/system/clocksource/clocksource0/current_clocksource"

// settleClock waits until the kernel has calibrated the time stamp counter: up to
// then a read of the clock takes other instructions.
func settleClock() error {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		name, err := os.ReadFile(clockSource)
		if err != nil {
			return fmt.Errorf("read which clock there is: %w", err)
		}
		if strings.TrimSpace(string(name)) != "tsc-early" {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("wait for the clock source: it is still tsc-early")
		}
	}
}
