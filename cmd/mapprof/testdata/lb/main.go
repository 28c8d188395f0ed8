// SPDX-License-Identifier: Apache-2.0

// Command lb is the agent of docs/tutorial.md: a load balancer that somebody else wrote.
// It swaps the inner maps of two outer maps until it is told to end. Each release but the
// last has a fault of its own, which the tutorial finds by what mapprof record shows.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// release is one of lb's, and what is wrong with it.
type release struct {
	sleepable bool // a sleepable program uses "policies"
	leaks     bool // what is taken out of "backends" stays open
}

var releases = map[string]release{"1.0": {sleepable: true}, "1.1": {leaks: true}, "1.2": {}}

// version is the release to be, which the linker sets.
var version = "1.2"

func main() {
	r, ok := releases[version]
	if !ok {
		fmt.Fprintf(os.Stderr, "lb: there is no release %q\n", version)
		os.Exit(2)
	}
	if err := r.serve(); err != nil {
		fmt.Fprintln(os.Stderr, "lb:", err)
		os.Exit(1)
	}
}

// serve swaps inner maps for as long as it is let.
func (r release) serve() error {
	if err := rlimit.RemoveMemlock(); err != nil {
		return err
	}
	backends, err := newTable("backends", "backend")
	if err != nil {
		return err
	}
	policies, err := newTable("policies", "policy")
	if err != nil {
		return err
	}
	audit := &ebpf.ProgramSpec{Name: "audit", Type: ebpf.SocketFilter, License: "GPL", Instructions: asm.Instructions{
		asm.LoadMapPtr(asm.R1, policies.outer.FD()), asm.Mov.Imm(asm.R0, 0), asm.Return(),
	}}
	if r.sleepable {
		audit.Type, audit.Flags = ebpf.Syscall, unix.BPF_F_SLEEPABLE
	}
	program, err := ebpf.NewProgram(audit)
	if err != nil {
		return err
	}
	defer program.Close()
	var leaked []*ebpf.Map
	for i := 1; ; i++ {
		time.Sleep(10 * time.Millisecond)
		old, err := backends.swap()
		if err != nil {
			return err
		}
		if r.leaks {
			leaked = append(leaked, old)
		} else if err := old.Close(); err != nil {
			return err
		}
		if i%2 != 0 { // the policies change less often
			continue
		}
		if old, err = policies.swap(); err != nil {
			return err
		}
		if err := old.Close(); err != nil {
			return err
		}
	}
}

// table is an outer map of one slot, and the inner map that is in it.
type table struct {
	outer, inner *ebpf.Map
	spec         *ebpf.MapSpec
}

func newTable(outer, inner string) (*table, error) {
	t := &table{spec: &ebpf.MapSpec{Name: inner, Type: ebpf.Array, KeySize: 4, ValueSize: 64, MaxEntries: 64}}
	var err error
	if t.outer, err = ebpf.NewMap(&ebpf.MapSpec{Name: outer, Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: t.spec}); err != nil {
		return nil, err
	}
	_, err = t.swap()
	return t, err
}

// swap puts a new inner map into the outer map, and returns the one that was there; nil:
// none.
func (t *table) swap() (old *ebpf.Map, err error) {
	m, err := ebpf.NewMap(t.spec)
	if err != nil {
		return nil, err
	}
	if err := t.outer.Put(uint32(0), m); err != nil {
		return nil, err
	}
	old, t.inner = t.inner, m
	return old, nil
}
