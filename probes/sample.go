// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// SampleHz is how often a Sampler looks. It is not the kernel's own HZ, nor a
// multiple of it, which would look at what its ticks do.
const SampleHz = 1009

// Sampler counts where the calling thread is, on a clock of its own. Where
// interrupts are off, it looks when they are on again.
type Sampler struct {
	coll *ebpf.Collection
	fd   int
}

// NewSampler makes one for the calling thread, which must be locked to its
// goroutine.
func NewSampler() (_ *Sampler, err error) {
	coll, err := loadLookupPrograms(LookupConfig{}, ebpf.CollectionOptions{}, lookupProgSample)
	if err != nil {
		return nil, &UnsupportedError{Function: "a clock's ticks", Err: shorten(err)}
	}
	s := &Sampler{coll: coll, fd: -1}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	attr := unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Sample: SampleHz, Sample_type: unix.PERF_SAMPLE_IP, Bits: unix.PerfBitFreq | unix.PerfBitDisabled | unix.PerfBitExcludeUser,
	}
	if s.fd, err = unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC); err != nil {
		return nil, &UnsupportedError{Function: "a clock's ticks", Err: err}
	}
	if err = unix.IoctlSetInt(s.fd, unix.PERF_EVENT_IOC_SET_BPF, coll.Programs[lookupProgSample].FD()); err != nil {
		return nil, &UnsupportedError{Function: "a clock's ticks", Err: err}
	}
	return s, nil
}

// Watch samples the thread while it runs f, when it is in the kernel.
func (s *Sampler) Watch(f func() error) error {
	if err := unix.IoctlSetInt(s.fd, unix.PERF_EVENT_IOC_ENABLE, 0); err != nil {
		return fmt.Errorf("start sampling: %w", err)
	}
	err := f()
	if serr := unix.IoctlSetInt(s.fd, unix.PERF_EVENT_IOC_DISABLE, 0); serr != nil {
		err = errors.Join(err, fmt.Errorf("stop sampling: %w", serr))
	}
	return err
}

// Samples returns how often the thread was at which address.
func (s *Sampler) Samples() (map[uint64]uint64, error) {
	c, err := readLookupCounts(s.coll.Maps[lookupBSS])
	if err != nil {
		return nil, err
	}
	if c.Excluded > 0 {
		return nil, fmt.Errorf("read samples: there was no room for %d of them", c.Excluded)
	}
	out := map[uint64]uint64{}
	var ip, n uint64
	it := s.coll.Maps[lookupMapMpfSamples].Iterate()
	for it.Next(&ip, &n) {
		out[ip] = n
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("read samples: %w", err)
	}
	return out, nil
}

// Close frees what was counted.
func (s *Sampler) Close() error {
	s.coll.Close()
	if s.fd < 0 {
		return nil
	}
	fd := s.fd
	s.fd = -1
	return unix.Close(fd)
}
