// SPDX-License-Identifier: Apache-2.0

//go:build linux

package guest

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/mapprof/mapprof/target/wire"
	"golang.org/x/sys/unix"
)

// pauseForJob starts the job's process, which waits for the job, and stops the machine,
// by QEMU's pvpanic device, at one instruction: there the host may save it. The host lets
// it go on when the job is in the window, which it unpacks. An error is of that. Where the
// machine can't be stopped there is none: the host sees it by the hello, and the console
// says why.
func (g *initProcess) pauseForJob() error {
	stop, err := g.readyToPause()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mapprof init: the machine is not stopped for its job:", err)
		return nil
	}
	var stopped unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &stopped); err != nil {
		return err
	}
	*stop = 1 // stops the machine
	length := (*uint32)(unsafe.Pointer(&g.window.mem[0]))
	for atomic.LoadUint32(length) == 0 { // other CPUs' emulation may go on for some instructions
	}
	parcel, err := wire.ReadParcel(g.window.mem)
	if err != nil {
		return err
	}
	if err := unpack("/", parcel); err != nil {
		return err
	}
	if there, err := setTime(); there || err != nil {
		return err
	}
	return settle(stopped)
}

// pauseSettles is longer than the kernel's ticks are apart, of 4 ms or 10.
const pauseSettles = 20 * time.Millisecond

// settle waits until a time after the machine was stopped. The deterministic clock goes on
// to the kernel's next timer when no CPU runs, and while QEMU stops them, whether it sees
// that depends on how busy the host is. Then it has passed that timer in either case.
func settle(stopped unix.Timespec) error {
	until := unix.NsecToTimespec(stopped.Nano() + pauseSettles.Nanoseconds())
	for {
		err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &until, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// readyToPause starts the job's process, and returns what stops the machine.
func (g *initProcess) readyToPause() (stop *byte, err error) {
	if g.window == nil {
		return nil, errors.New("no memory is shared with the host")
	}
	if stop, err = stopSwitch(); err == nil {
		g.early, err = g.startEarly()
	}
	return stop, err
}

// TimeFile has the time of day, in nanoseconds, where the machine may have stood still.
const TimeFile = "/mapprof/time"

// setTime sets the clock by that file, if it is there.
func setTime() (there bool, err error) {
	b, err := os.ReadFile(TimeFile)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	ns, perr := strconv.ParseInt(string(b), 10, 64)
	if err = errors.Join(err, perr); err != nil {
		return true, fmt.Errorf("set the clock: %w", err)
	}
	now := unix.NsecToTimespec(ns)
	return true, unix.ClockSettime(unix.CLOCK_REALTIME, &now)
}

// The words between init and a job's process that was started before there was a job.
// They are no frames' types.
const (
	readyMessage = 0xff // it has done task.Warm
	beginMessage = 0xfe // the job is there
)

// startEarly starts a process that does task.Warm, and waits until it has.
func (g *initProcess) startEarly() (*jobProcess, error) {
	p, err := g.startJob([]string{Command})
	if err != nil {
		return nil, err
	}
	if err := awaitMessage(p.channel, readyMessage); err != nil {
		p.kill()
		return nil, fmt.Errorf("start the job's process early: %w", err)
	}
	return &p, nil
}

// jobOf is the process of a job: the one that waits, if it can do that job.
func (g *initProcess) jobOf(argv []string) (jobProcess, error) {
	p := g.early
	if p == nil {
		return g.startJob(argv)
	}
	if argv[0] == Command {
		_, err := unix.Write(p.channel, []byte{beginMessage})
		return *p, err
	}
	p.kill()
	return g.startJob(argv)
}

// kill ends a process that is not to have the job.
func (p *jobProcess) kill() {
	_ = unix.Kill(p.pid, unix.SIGKILL)
	reap(p.pid)
	unix.Close(p.channel)
	unix.Close(p.output)
}

// awaitMessage reads one word, which must be that.
func awaitMessage(fd int, want byte) error {
	word := make([]byte, 1)
	n, err := unix.Read(fd, word)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Read(fd, word)
	}
	switch {
	case err != nil:
		return err
	case n == 0:
		return io.ErrUnexpectedEOF
	case word[0] != want:
		return fmt.Errorf("%#x where %#x was due", word[0], want)
	}
	return nil
}

// AwaitJob tells init that this process waits, and returns the arguments of the job.
func AwaitJob() ([]string, error) {
	fd, err := jobFD()
	if err != nil {
		return nil, err
	}
	if _, err := unix.Write(fd, []byte{readyMessage}); err != nil {
		return nil, fmt.Errorf("wait for the job: %w", err)
	}
	if err := awaitMessage(fd, beginMessage); err != nil {
		return nil, fmt.Errorf("wait for the job: %w", err)
	}
	return readArgv()
}

// readArgv reads the job's argv[1:] where the host has put it.
func readArgv() (argv []string, err error) {
	b, err := os.ReadFile(ArgvFile)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &argv); err != nil {
		return nil, fmt.Errorf("read %s: %w", ArgvFile, err)
	}
	return argv, nil
}

// stopSwitch is the register of QEMU's pvpanic device on PCI (QEMU,
// docs/specs/pvpanic.rst), which needs no driver.
func stopSwitch() (*byte, error) {
	devs, _ := filepath.Glob("/sys/bus/pci/devices/*")
	for _, d := range devs {
		if sysfsWord(d+"/vendor") != "0x1b36" || sysfsWord(d+"/device") != "0x0011" {
			continue
		}
		_ = os.WriteFile(d+"/enable", []byte("1"), 0)
		// The register is smaller than a page, and needn't begin one.
		first, _, _ := strings.Cut(sysfsWord(d+"/resource"), " ")
		at, err := strconv.ParseUint(first, 0, 64)
		if err != nil {
			return nil, fmt.Errorf("find the register of %s: %w", d, err)
		}
		fd, err := unix.Open(d+"/resource0", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		defer unix.Close(fd)
		page := os.Getpagesize()
		mem, err := unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return nil, fmt.Errorf("map the register of %s: %w", d, err)
		}
		return &mem[at&uint64(page-1)], nil
	}
	return nil, errors.New("the machine has no pvpanic device on PCI")
}

// Pack is a job as the guest unpacks it, with the date where there is one; nil: it is more
// than a parcel takes.
func Pack(args []string, files map[string][]byte, date time.Time) ([]byte, error) {
	argv, err := json.Marshal(args)
	if err != nil {
		return nil, fmt.Errorf("pack the job: %w", err)
	}
	all := map[string][]byte{}
	maps.Copy(all, files)
	all[ArgvFile] = argv
	if !date.IsZero() {
		all[TimeFile] = strconv.AppendInt(nil, date.UnixNano(), 10)
	}
	size := 0
	for _, data := range all {
		size += len(data) + 2048 // its headers, and what fills its last block
	}
	if size > wire.MaxParcel {
		return nil, nil
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		err := w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(name, "/"), Mode: 0o755, Size: int64(len(all[name]))})
		if err == nil {
			_, err = w.Write(all[name])
		}
		if err != nil {
			return nil, fmt.Errorf("pack the job: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack the job: %w", err)
	}
	return b.Bytes(), nil
}

// unpack writes the files of a parcel under a directory.
func unpack(root string, parcel []byte) error {
	files := tar.NewReader(bytes.NewReader(parcel))
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpack the job: %w", err)
		}
		path := filepath.Join(root, h.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("unpack the job: %w", err)
		}
		b, err := io.ReadAll(files)
		if err == nil {
			err = os.WriteFile(path, b, 0o755)
		}
		if err != nil {
			return fmt.Errorf("unpack the job: %w", err)
		}
	}
}
