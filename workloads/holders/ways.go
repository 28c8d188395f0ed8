// SPDX-License-Identifier: Apache-2.0

//go:build linux

package holders

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/results/inventory"
)

// way is how a map is held.
type way struct {
	name string
	// hold has the map held, and returns what ends that.
	hold func(m *ebpf.Map) (letGo func() error, err error)
	// kind is the holder that an inventory names; empty: it is a reference
	// unaccounted for.
	kind string
	// program says that the last put waits for the free of a program.
	program bool
	flags   uint32 // of the map
}

// ways are all, in the order in which they are taken.
var ways = []way{
	{name: "iterator", hold: byIterator, kind: inventory.Iterator},
	{name: "iterator-fd", hold: byIteratorFD},
	{name: "mmap", hold: byMapping, kind: inventory.Mapping, flags: unix.BPF_F_MMAPABLE},
	{name: "pin", hold: byPin, kind: inventory.Pin},
	{name: "program", hold: byProgram, kind: inventory.Program, program: true},
	{name: "sleepable-program", hold: bySleepable, kind: inventory.Program, program: true},
	{name: "outer", hold: byOuter, kind: inventory.Outer},
	{name: "fd-elsewhere", hold: byProcess, kind: inventory.FD},
	{name: "scm-rights", hold: byMessage},
}

func wayNames() (names []string) {
	for _, w := range ways {
		names = append(names, w.name)
	}
	return names
}

// iterate makes a link that iterates over the elements of a map.
func iterate(m *ebpf.Map) (*link.Iter, error) {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "mp_iterator", Type: ebpf.Tracing, AttachType: ebpf.AttachTraceIter, AttachTo: "bpf_map_elem",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}, License: "Dual BSD/GPL",
	})
	if err != nil {
		return nil, fmt.Errorf("load an iterator's program: %w", err)
	}
	it, err := link.AttachIter(link.IterOptions{Program: prog, Map: m})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make an iterator's link: %w", err), prog.Close())
	}
	return it, prog.Close()
}

// byIterator: the link holds the map.
func byIterator(m *ebpf.Map) (func() error, error) {
	it, err := iterate(m)
	if err != nil {
		return nil, err
	}
	return it.Close, nil
}

// byIteratorFD: the link is closed, and an open iterator is there. It is never read:
// before f76fa6b33805 it doesn't hold the map.
func byIteratorFD(m *ebpf.Map) (func() error, error) {
	it, err := iterate(m)
	if err != nil {
		return nil, err
	}
	open, err := it.Open()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open an iterator: %w", err), it.Close())
	}
	return open.Close, it.Close()
}

// byMapping: the map's memory is mapped.
func byMapping(m *ebpf.Map) (func() error, error) {
	memory, err := unix.Mmap(m.FD(), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map a map's memory: %w", err)
	}
	return func() error { return unix.Munmap(memory) }, nil
}

// bpffs is where maps are pinned.
const bpffs = "/sys/fs/bpf"

// byPin: a file in bpffs holds the map.
func byPin(m *ebpf.Map) (func() error, error) {
	file := filepath.Join(bpffs, fmt.Sprintf("mapprof-%d-%d", os.Getpid(), m.FD()))
	if err := m.Pin(file); err != nil {
		return nil, fmt.Errorf("pin a map (is bpffs at %s?): %w", bpffs, err)
	}
	return func() error { return os.Remove(file) }, nil
}

// using is a program that uses a map and never runs.
func using(m *ebpf.Map) asm.Instructions {
	return asm.Instructions{asm.LoadMapPtr(asm.R1, m.FD()), asm.Mov.Imm(asm.R0, 0), asm.Return()}
}

// byProgram: a program uses the map.
func byProgram(m *ebpf.Map) (func() error, error) {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "mp_user", Type: ebpf.SocketFilter, Instructions: using(m), License: "Dual BSD/GPL"})
	if err != nil {
		return nil, fmt.Errorf("load a program: %w", err)
	}
	return prog.Close, nil
}

// bySleepable: a program that may sleep uses it. BPF_PROG_TYPE_SYSCALL came with 5.14
// (79a7f8bdb159); before, one of this LSM hook may.
func bySleepable(m *ebpf.Map) (func() error, error) {
	spec := &ebpf.ProgramSpec{Name: "mp_sleeper", Type: ebpf.Syscall, Flags: unix.BPF_F_SLEEPABLE, Instructions: using(m), License: "Dual BSD/GPL"}
	prog, err := ebpf.NewProgram(spec)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, ebpf.ErrNotSupported) {
		spec.Type, spec.AttachType, spec.AttachTo = ebpf.LSM, ebpf.AttachLSMMac, "bprm_committed_creds"
		prog, err = ebpf.NewProgram(spec)
	}
	if err != nil {
		return nil, fmt.Errorf("load a sleepable program: %w", err)
	}
	return prog.Close, nil
}

// byOuter: the map is in an outer map.
func byOuter(m *ebpf.Map) (func() error, error) {
	const slot = uint32(0)
	outer, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "mp_outer", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: mapSpec("mp_template", 0),
		Contents: []ebpf.MapKV{{Key: slot, Value: m}},
	})
	if err != nil {
		return nil, fmt.Errorf("make an outer map: %w", err)
	}
	return func() error { return errors.Join(outer.Delete(slot), outer.Close()) }, nil
}

// byProcess: another process has a descriptor. It is this program, stopped by ptrace(2)
// before its first instruction: the caller's thread must stay the same.
func byProcess(m *ebpf.Map) (func() error, error) {
	fd, err := unix.FcntlInt(uintptr(m.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("duplicate a descriptor: %w", err)
	}
	file := os.NewFile(uintptr(fd), "map")
	cmd := exec.Command("/proc/self/exe")
	cmd.ExtraFiles, cmd.SysProcAttr = []*os.File{file}, &syscall.SysProcAttr{Ptrace: true, Pdeathsig: unix.SIGKILL}
	if err := errors.Join(cmd.Start(), file.Close()); err != nil {
		return nil, fmt.Errorf("start a process that holds a map: %w", err)
	}
	end := func() error {
		err := cmd.Process.Kill()
		if _, waiting := cmd.Process.Wait(); waiting != nil {
			err = errors.Join(err, waiting)
		}
		return err
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(cmd.Process.Pid, &status, 0, nil); err != nil || !status.Stopped() {
		return nil, errors.Join(fmt.Errorf("stop a process that holds a map: status %#x, %w", uint32(status), err), end())
	}
	return end, nil
}

// byMessage: the descriptor is in a message that nobody has received.
func byMessage(m *ebpf.Map) (func() error, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a pair of sockets: %w", err)
	}
	end := func() error { return errors.Join(unix.Close(pair[0]), unix.Close(pair[1])) }
	if err := unix.Sendmsg(pair[0], []byte{0}, unix.UnixRights(m.FD()), nil, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("send a map's descriptor: %w", err), end())
	}
	return end, nil
}
