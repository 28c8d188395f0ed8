// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// kept is what outlives keep: each map in it is held in one way.
type kept struct {
	fd, outer *ebpf.Map
	user      *ebpf.Program
	mapping   []byte
	sockets   [2]int
}

// keep creates maps that are held by a descriptor, a pin, a program, an outer map, a mapping
// alone, and by a descriptor that is on its way to another process.
func keep() (*kept, error) {
	array := func(name string, pages uint32, flags uint32) (*ebpf.Map, error) {
		return ebpf.NewMap(&ebpf.MapSpec{Name: name, Type: ebpf.Array, KeySize: 4, ValueSize: 4096, MaxEntries: pages, Flags: flags})
	}
	k := &kept{}
	var err error
	if k.fd, err = array("by_fd", 1, 0); err != nil {
		return nil, err
	}
	pinned, err := array("by_pin", 2, 0)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.MkdirAll("/sys/fs/bpf/agent", 0o700), pinned.Pin("/sys/fs/bpf/agent/state"), pinned.Close()); err != nil {
		return nil, err
	}
	used, err := array("by_prog", 3, 0)
	if err != nil {
		return nil, err
	}
	if k.user, err = use(used, "user", ebpf.SocketFilter, 0); err != nil {
		return nil, err
	}
	inner, err := array("by_outer", 4, 0)
	if err != nil {
		return nil, err
	}
	if k.outer, err = ebpf.NewMap(&ebpf.MapSpec{Name: "keeper", Type: ebpf.HashOfMaps, KeySize: 8, ValueSize: 4, MaxEntries: 3, InnerMap: &ebpf.MapSpec{
		Type: ebpf.Array, KeySize: 4, ValueSize: 4096, MaxEntries: 4,
	}}); err != nil {
		return nil, err
	}
	if err := errors.Join(k.outer.Put(uint64(7), inner), inner.Close(), used.Close()); err != nil {
		return nil, err
	}
	mapped, err := array("by_mapping", 5, unix.BPF_F_MMAPABLE)
	if err != nil {
		return nil, err
	}
	k.mapping, err = unix.Mmap(mapped.FD(), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
	if err := errors.Join(err, mapped.Close()); err != nil {
		return nil, err
	}
	// A descriptor in a message that nobody receives is in no table.
	sent, err := array("by_nobody", 6, 0)
	if err != nil {
		return nil, err
	}
	if k.sockets, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0); err != nil {
		return nil, err
	}
	return k, errors.Join(unix.Sendmsg(k.sockets[0], []byte{0}, unix.UnixRights(sent.FD()), nil, 0), sent.Close())
}

// leave starts this program in a session of its own, which outlives this one, and waits
// until it says that it is ready.
func leave(args []string) error {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == ready {
			return nil
		}
	}
	return fmt.Errorf("%q ended: %w", args, cmd.Wait())
}

// ready is what the agent says when it has done all but to stay.
const ready = "agent: ready"
