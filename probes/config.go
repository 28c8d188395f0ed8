// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"

	"github.com/cilium/ebpf"
)

// Config says what to watch.
type Config struct {
	// WatchPrefix: only maps whose name starts with it; empty: all but our own.
	WatchPrefix string
	// WaitTGID: record the update waits of this process; 0: of none.
	WaitTGID uint32
	// RingBytes is the ring buffer's size, a power of two of at least a page
	// (default 4 MiB: 23,800 deaths, or 15,400 with their owners).
	RingBytes uint32
	// InFlight is how many deaths may be pending at once, at least (default 65,536).
	InFlight uint32
	// Once attaches every program once, even where more copies would see what
	// the first misses.
	Once bool
	// UnwindAlways finds every stack by unwinding it, where a part of the stack would
	// do to find one again.
	UnwindAlways bool
	// Mechanisms to try, in order; default fentry, then kprobe.
	Mechanisms []string
	// Owners, if any, asks to keep whose each map is. WatchPrefix and WaitTGID are
	// of no use then.
	Owners *Owners
	// Ended, when closed, ends the attaching: Attach detaches what is attached, and
	// fails with ErrEnded. nil: nothing ends it.
	Ended <-chan struct{} `json:"-"`
	// Prepared is what was prepared for it; nil: it prepares itself.
	Prepared *Prepared `json:"-"`

	lap func(step string)
}

// Steps of attaching, as AttachInTurn tells them.
const (
	StepRead   = "read"   // the kernel's BTF, and the embedded programs
	StepLoad   = "load"   // CO-RE, and the kernel's verifier
	StepAttach = "attach" // the kernel's ftrace and trampolines
)

// AttachInTurn is Attach for who measures it: it begins a step when the one before has
// ended, and tells of each when it has.
func AttachInTurn(cfg Config, lap func(step string)) (*Probes, []Attachment, error) {
	cfg.lap = lap
	return Attach(cfg)
}

// ErrEnded says that Config.Ended was closed before all was attached.
var ErrEnded = errors.New("ended before every probe was attached")

func (c *Config) ended() bool {
	select {
	case <-c.Ended:
		return true
	default:
		return false
	}
}

func configure(spec *ebpf.CollectionSpec, cfg *Config, at addresses) error {
	if cfg.RingBytes == 0 {
		cfg.RingBytes = 4 << 20
	}
	if cfg.InFlight == 0 {
		cfg.InFlight = 65536
	}
	if len(cfg.Mechanisms) == 0 {
		cfg.Mechanisms = []string{MechanismFentry, MechanismKprobe}
	}
	spec.Maps[lifecycleMapMpfEvents].MaxEntries = cfg.RingBytes
	spec.Maps[lifecycleMapMpfInflight].MaxEntries = cfg.InFlight
	set := func(name string, v any) error {
		if err := spec.Variables[name].Set(v); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
		return nil
	}
	watch, err := namePrefix(cfg.WatchPrefix)
	if err != nil {
		return err
	}
	own, err := namePrefix(OwnPrefix)
	if err != nil {
		return err
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	var seated uint32
	// Who leaves a seat writes to it twice, which other CPUs have to see in that order:
	// on arm64 they might not. With a small InFlight it would be exceeded by too much.
	if runtime.GOARCH == "amd64" && cfg.InFlight >= seats {
		seated = 1
	}
	var unwindAlways uint32
	if cfg.UnwindAlways {
		unwindAlways = 1
	}
	return errors.Join(
		set(lifecycleVarWatchedNames, watch), set(lifecycleVarOwnNames, own),
		set(lifecycleVarUnwindAlways, unwindAlways), set(lifecycleVarSeated, seated), set(lifecycleVarWaitTgid, cfg.WaitTGID), set(lifecycleVarPossibleCpus, uint32(cpus)), set(lifecycleVarPerCpuOffset, at.perCPUOffset), set(lifecycleVarFreesMapsAt, at.callbacks),
		configureOwners(spec, cfg))
}

// namePrefix is what the programs compare names with.
func namePrefix(s string) (p lifecyclePrefix, err error) {
	if len(s) > 15 {
		return p, fmt.Errorf("map name prefix %q is longer than 15 bytes", s)
	}
	var words, mask [16]byte
	for i := range len(s) {
		words[i], mask[i] = s[i], 0xff
	}
	for i := range p.Words {
		p.Words[i], p.Mask[i] = binary.LittleEndian.Uint64(words[8*i:]), binary.LittleEndian.Uint64(mask[8*i:])
	}
	return p, nil
}
