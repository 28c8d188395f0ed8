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

// PauseMark is put on the kernel's command line where the host waits for this guest to
// stop its machine before it has a job.
const PauseMark = "MAPPROF_PAUSE"

// pauseForJob starts the job's process, which waits for the job, and stops the machine,
// by QEMU's pvpanic device, at one instruction: there the host may save it. The host lets
// it go on when the job is in the window, which it unpacks.
func (g *initProcess) pauseForJob() error {
	if g.window == nil {
		return errors.New("no memory is shared with the host")
	}
	stop, err := stopSwitch()
	if err != nil {
		return err
	}
	if g.early, err = g.startEarly(); err != nil {
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
	return setTime()
}

// TimeFile has the time of day, in nanoseconds, where the machine may have stood still.
const TimeFile = "/mapprof/time"

func setTime() error {
	b, err := os.ReadFile(TimeFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	ns, perr := strconv.ParseInt(string(b), 10, 64)
	if err = errors.Join(err, perr); err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	now := unix.NsecToTimespec(ns)
	return unix.ClockSettime(unix.CLOCK_REALTIME, &now)
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
	word := make([]byte, 1)
	n, err := unix.Read(p.channel, word)
	if err != nil || n != 1 || word[0] != readyMessage {
		return nil, errors.Join(errors.New("the job's process did not wait for its job"), err)
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
	_ = unix.Kill(p.pid, unix.SIGKILL)
	reap(p.pid)
	return g.startJob(argv)
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
	word := make([]byte, 1)
	n, err := unix.Read(fd, word)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Read(fd, word)
	}
	if err != nil || n != 1 || word[0] != beginMessage {
		return nil, errors.Join(errors.New("wait for the job: init has none"), err)
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
