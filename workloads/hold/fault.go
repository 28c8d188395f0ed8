// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hold

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lateFault is a page of memory whose page fault user space serves when it
// likes (userfaultfd, 4.3; faults taken in the kernel need CAP_SYS_PTRACE).
type lateFault struct {
	fd   int
	page []byte
}

// From <linux/userfaultfd.h>.
const (
	uffdAPI          = 0xaa
	uffdioAPI        = 0xc018aa3f
	uffdioRegister   = 0xc020aa00
	uffdioZeropage   = 0xc020aa04
	uffdModeMissing  = 1
	uffdMessageBytes = 32
	uffdEventFault   = 0x12
)

type uffdioAPIArg struct{ api, features, ioctls uint64 }

type uffdioRange struct{ start, length, mode, result uint64 }

func newLateFault() (_ *lateFault, err error) {
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|unix.O_NONBLOCK, 0, 0)
	if errno != 0 {
		return nil, fmt.Errorf("hold reader: userfaultfd: %w (the kernel needs CONFIG_USERFAULTFD)", errno)
	}
	f := &lateFault{fd: int(fd)}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if err := f.ioctl("UFFDIO_API", uffdioAPI, unsafe.Pointer(&uffdioAPIArg{api: uffdAPI})); err != nil {
		return nil, err
	}
	if f.page, err = unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS); err != nil {
		return nil, fmt.Errorf("hold reader: map a page: %w", err)
	}
	err = f.ioctl("UFFDIO_REGISTER", uffdioRegister, unsafe.Pointer(&uffdioRange{f.address(), uint64(len(f.page)), uffdModeMissing, 0}))
	return f, err
}

func (f *lateFault) address() uint64 { return uint64(uintptr(unsafe.Pointer(&f.page[0]))) }

func (f *lateFault) ioctl(name string, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(f.fd), request, uintptr(arg)); errno != 0 {
		return fmt.Errorf("hold reader: %s: %w", name, errno)
	}
	return nil
}

// arm takes the page away, so that the next access faults.
func (f *lateFault) arm() error {
	if err := unix.Madvise(f.page, unix.MADV_DONTNEED); err != nil {
		return fmt.Errorf("hold reader: take the page away: %w", err)
	}
	return nil
}

// wait returns when somebody is blocked in the fault.
func (f *lateFault) wait(limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		var msg [uffdMessageBytes]byte
		n, err := unix.Read(f.fd, msg[:])
		switch {
		case err == nil && n == len(msg) && msg[0] == uffdEventFault:
			return nil
		case err == nil:
			return fmt.Errorf("hold reader: event %#x of %d bytes on userfaultfd", msg[0], n)
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("hold reader: read userfaultfd: %w", err)
		case time.Now().After(deadline):
			return errors.New("hold reader: the program met no page fault")
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(f.fd), Events: unix.POLLIN}}, 100)
	}
}

// serve ends the fault with a page of zeros.
func (f *lateFault) serve() error {
	return f.ioctl("UFFDIO_ZEROPAGE", uffdioZeropage, unsafe.Pointer(&uffdioRange{f.address(), uint64(len(f.page)), 0, 0}))
}

// close lets go of whoever is still in the fault.
func (f *lateFault) close() error {
	err := unix.Close(f.fd)
	if f.page != nil {
		err = errors.Join(err, unix.Munmap(f.page))
	}
	return err
}
