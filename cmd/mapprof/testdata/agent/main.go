// SPDX-License-Identifier: Apache-2.0

// Command agent is a program that isn't mapprof's, whose every death of a map is known:
// what the tests of mapprof record watch. It has an outer map for each of some
// cgroups, and replaces the inner map of each some times.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

func main() {
	count := flag.Int("count", 20, "inner maps to replace")
	outer := flag.String("outer", "routes", "the outer map's name")
	kind := flag.String("kind", "array", "of the outer map: array or hash")
	sleepable := flag.String("sleepable", "", "name of a sleepable program that uses the outer map; empty: none")
	unload := flag.Int("unload", 0, "unload it after so many")
	pause := flag.Duration("pause", time.Millisecond, "between two")
	rate := flag.Int("rate", 0, "create and drop -count maps, so many a second, and do nothing else")
	race := flag.Int("race", 0, "maps whose last two references two threads drop at once")
	live := flag.Int("live", 0, "maps to hold meanwhile")
	blocked := flag.Duration("blocked-free", 0, "hold up the free of a map for so long, and do nothing else")
	hold := flag.Duration("hold", 0, "stay for so long when all is done")
	containers := flag.Int("containers", 0, "start so many of these, each in the cgroup of a container")
	keeps := flag.Bool("keep", false, "hold a map in each way that there is")
	leaves := flag.Bool("leave", false, "do it in a session of its own, and end before it does")
	exit := flag.Int("exit", 0, "the exit code")
	flag.Parse()
	if *leaves {
		if err := leave(append(os.Args[1:], "-leave=false")); err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
			os.Exit(1)
		}
		return
	}
	if *blocked > 0 {
		if err := blockFree(*blocked); err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
			os.Exit(1)
		}
		return
	}
	if *rate > 0 {
		if err := errors.Join(rlimit.RemoveMemlock(), pace(*count, *rate)); err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(*count, *outer, *kind, *sleepable, *unload, *pause, *race, *live, *containers); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		os.Exit(1)
	}
	if *keeps {
		k, err := keep()
		if err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
			os.Exit(1)
		}
		defer runtime.KeepAlive(k)
	}
	fmt.Println(ready)
	time.Sleep(*hold)
	fmt.Println("agent: done")
	os.Exit(*exit)
}

var lives []*ebpf.Map // held to the end

func run(count int, name, kind, sleepable string, unload int, pause time.Duration, race, live, containers int) error {
	if err := rlimit.RemoveMemlock(); err != nil {
		return err
	}
	if live > 0 {
		limit := unix.Rlimit{Cur: uint64(live) + 1024, Max: uint64(live) + 1024}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
	}
	for range live {
		m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "live", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
		if err != nil {
			return err
		}
		lives = append(lives, m)
	}
	if containers > 0 {
		return contain(containers, count)
	}
	if race > 0 {
		return raceAll(race)
	}
	inner := &ebpf.MapSpec{Name: "route", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 16}
	spec := &ebpf.MapSpec{Name: name, Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: inner}
	if kind == "hash" {
		spec.Type = ebpf.HashOfMaps
	}
	outer, err := ebpf.NewMap(spec)
	if err != nil {
		return err
	}
	defer outer.Close()
	var user *ebpf.Program
	if sleepable != "" {
		if user, err = use(outer, sleepable, ebpf.Syscall, unix.BPF_F_SLEEPABLE); errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, unix.EINVAL) {
			fmt.Println("agent: this kernel has no sleepable program (of its type: since 5.14)")
		} else if err != nil {
			return err
		}
	}
	for i := range count + 1 {
		if unload > 0 && i == unload+1 {
			user.Close()
			time.Sleep(2 * time.Second) // freed after a grace period
		}
		m, err := ebpf.NewMap(inner)
		if err != nil {
			return err
		}
		if err := outer.Put(uint32(0), m); err != nil {
			return err
		}
		m.Close()
		time.Sleep(pause)
	}
	return nil
}

// use loads a program that uses a map.
func use(m *ebpf.Map, name string, kind ebpf.ProgramType, flags uint32) (*ebpf.Program, error) {
	return ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: name, Type: kind, Flags: flags, License: "GPL",
		Instructions: asm.Instructions{asm.LoadMapPtr(asm.R1, m.FD()), asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
}

// raceAll drops the last two references of many maps on two CPUs at once.
func raceAll(n int) error {
	type pair struct{ a, b int }
	pairs := make([]pair, n)
	for i := range pairs {
		m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "raced", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
		if err != nil {
			return err
		}
		info, err := m.Info()
		if err != nil {
			return err
		}
		id, _ := info.ID()
		again, err := ebpf.NewMapFromID(id)
		if err != nil {
			return err
		}
		if pairs[i].a, err = unix.Dup(m.FD()); err != nil {
			return err
		}
		if pairs[i].b, err = unix.Dup(again.FD()); err != nil {
			return err
		}
		m.Close()
		again.Close()
	}
	var wg sync.WaitGroup
	var ready [2]atomic.Int64
	for side := range 2 {
		wg.Go(func() {
			runtime.LockOSThread()
			for i, p := range pairs {
				ready[side].Store(int64(i) + 1)
				for ready[1-side].Load() <= int64(i) {
				}
				if side == 0 {
					unix.Close(p.a)
				} else {
					unix.Close(p.b)
				}
			}
		})
	}
	wg.Wait()
	return nil
}

// contain starts this program in cgroups as a container's runtime names them, which are
// gone soon after it has ended. The last one's outer map is pinned to tasks-trace.
func contain(n, count int) error {
	var all []*exec.Cmd
	var dirs []string
	for i := range n {
		dir := filepath.Join("/sys/fs/cgroup/system.slice", fmt.Sprintf("docker-%x%063x.scope", 0xa+i, 0))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		group, err := os.Open(dir)
		if err != nil {
			return err
		}
		args := []string{"-count", strconv.Itoa(count * (i + 1)), "-outer", fmt.Sprintf("outer%d", i)}
		if i == n-1 {
			args = append(args, "-sleepable", "sleeper")
		}
		cmd := exec.Command(os.Args[0], args...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
		if err := cmd.Start(); err != nil {
			return err
		}
		group.Close()
		all, dirs = append(all, cmd), append(dirs, dir)
	}
	for i, cmd := range all {
		if err := errors.Join(cmd.Wait(), os.Remove(dirs[i])); err != nil {
			return err
		}
	}
	return nil
}
