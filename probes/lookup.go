// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// LookupConfig says which calls to time.
type LookupConfig struct {
	// Function is the kernel's function that looks up maps of this type.
	Function string
	// Map is the one whose lookups count; others are excluded and counted.
	Map *ebpf.Map
	// Pages says that Function prepares as many pages as its second
	// argument says, or two to the power of that, and does not sleep: the
	// calling thread's calls count, while Watch runs. Map is nil.
	Pages Pages
	// Empty attaches programs that do nothing: the floor of what any pair
	// of probes costs. With Clock they read the clock, as any that time do.
	Empty, Clock bool
	// Session attaches one program for entry and exit, BPF_TRACE_FSESSION,
	// for one CPU. It is for measuring: the pair costs less.
	Session bool
	// Sample has one call in so many timed, a power of two; 0 and 1: each.
	Sample uint64
	// Seed is of the gaps between these, 0: a random one.
	Seed uint64
	// Stacks also counts the calls by their callers' stacks.
	Stacks bool
	// ManyCPUs attaches the programs for several CPUs even where there is
	// one, to measure them there.
	ManyCPUs bool
}

// Pages is what a function that prepares pages takes for its second argument.
type Pages uint8

const (
	NoPages      Pages = iota // it is no such function
	PagesByCount              // their number
	PagesByOrder              // the binary logarithm of their number
)

// LookupProbe times the calls of one function for one map.
type LookupProbe struct {
	cfg   LookupConfig
	types *btf.Cache           // the kernel's BTF, decoded once
	names []string             // of the programs, in the order in which they are attached
	maps  map[string]*ebpf.Map // what they share and keep: all but constants
	progs []*ebpf.Program      // all that have been attached
	links []link.Link
}

// lookupBSS is the section of the per-CPU parts, lookupRodata that of constants,
// lookupSwitch has what Watch switches.
const lookupBSS, lookupRodata, lookupSwitch = ".bss", ".rodata", ".data.watch"

// AttachLookup attaches the pair of programs. It needs fentry; a kprobe sees
// no call made within a bpf(2) map operation, and costs more than most lookups.
func AttachLookup(cfg LookupConfig) (*LookupProbe, error) {
	if err := mayLoad(cfg.Function); err != nil {
		return nil, err
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, err
	}
	names := programNames(cfg, cpus)
	if cfg.Stacks {
		names = append(names, lookupProgCallerEntry)
	}
	p := &LookupProbe{cfg: cfg, names: names, types: btf.NewCache()}
	if err := p.Attach(); err != nil {
		return nil, errors.Join(&UnsupportedError{Function: cfg.Function, Err: shorten(err)}, p.Close())
	}
	return p, nil
}

// programNames lists the programs that cfg asks for, in the order in which they
// are attached.
func programNames(cfg LookupConfig, cpus int) []string {
	entry, exit := lookupProgLookupEntry, lookupProgLookupExit
	sampled, up := cfg.Sample > 1, cpus == 1 && !cfg.ManyCPUs
	switch {
	case cfg.Empty && cfg.Session:
		return []string{lookupProgEmptySession}
	case cfg.Session:
		return []string{lookupProgLookupSession}
	case cfg.Empty && cfg.Clock:
		entry, exit = lookupProgClockEntry, lookupProgClockExit
	case cfg.Empty:
		entry, exit = lookupProgEmptyEntry, lookupProgEmptyExit
	case cfg.Pages != NoPages:
		entry, exit = lookupProgPagesEntry, lookupProgPagesExit
	case sampled && up:
		entry, exit = lookupProgSampledEntryUp, lookupProgSampledExitUp
	case sampled:
		entry, exit = lookupProgSampledEntry, lookupProgSampledExit
	case up:
		entry, exit = lookupProgLookupEntryUp, lookupProgLookupExitUp
	}
	// The exit first: an entry alone would leave starts behind. Not where
	// Map's calls alone have any, and none comes meanwhile: then other maps'
	// calls, which only the entry tells apart, would end unmatched. What is
	// attached last runs first: the stack before the time is taken.
	if cfg.Map != nil {
		return []string{entry, exit}
	}
	return []string{exit, entry}
}

// Attach attaches the programs, unless they are. It loads them for it, with the
// maps that they had: before 5.13 a kernel attaches no program for tracing
// twice (f3a95075549e).
func (p *LookupProbe) Attach() error {
	if len(p.links) > 0 {
		return nil
	}
	coll, err := loadLookupPrograms(p.cfg, ebpf.CollectionOptions{MapReplacements: p.maps, Cache: p.types}, p.names...)
	if err != nil {
		return err
	}
	defer coll.Close()
	if p.maps == nil {
		p.maps = map[string]*ebpf.Map{}
		for name := range coll.Maps {
			if name != lookupRodata {
				p.maps[name] = coll.DetachMap(name)
			}
		}
		if p.cfg.Sample > 1 {
			if err := beginSampling(p.maps[lookupBSS], p.cfg.Sample, p.cfg.Seed); err != nil {
				return err
			}
		}
	}
	for _, name := range p.names {
		prog := coll.DetachProgram(name)
		p.progs = append(p.progs, prog)
		l, err := link.AttachTracing(link.TracingOptions{Program: prog})
		if err != nil {
			return errors.Join(err, p.Detach())
		}
		p.links = append(p.links, l)
	}
	return nil
}

// Watch runs f, and calls that the programs of LookupConfig.Pages see meanwhile
// count. Between two of them the thread prepares pages too, its own memory's.
func (p *LookupProbe) Watch(f func() error) error {
	if err := p.maps[lookupSwitch].Put(uint32(0), uint32(1)); err != nil {
		return fmt.Errorf("switch the probe on: %w", err)
	}
	err := f()
	if serr := p.maps[lookupSwitch].Put(uint32(0), uint32(0)); serr != nil {
		err = errors.Join(err, fmt.Errorf("switch the probe off: %w", serr))
	}
	return err
}

// Detach takes the programs off the function, which is then as if it had never
// been probed, until Attach. What they counted stays. A call that is under way
// meanwhile may count as missed.
func (p *LookupProbe) Detach() error {
	var errs []error
	for i := len(p.links) - 1; i >= 0; i-- {
		errs = append(errs, p.links[i].Close())
	}
	p.links = nil
	return errors.Join(errs...)
}

// loadLookupPrograms loads some of the programs, for what cfg says, with maps
// of their own unless opts has some. No two loads that are attached at once
// may share them: a program is never active twice on a CPU, two programs may be.
func loadLookupPrograms(cfg LookupConfig, opts ebpf.CollectionOptions, names ...string) (*ebpf.Collection, error) {
	spec, err := loadLookup()
	if err != nil {
		return nil, fmt.Errorf("read embedded BPF programs: %w", err)
	}
	keep := map[string]*ebpf.ProgramSpec{}
	for _, name := range names {
		prog := spec.Programs[name]
		if prog.Type == ebpf.Tracing {
			prog.AttachTo = cfg.Function
		}
		for i := range prog.Instructions {
			if ins := &prog.Instructions[i]; ins.Reference() == lookupMapMpfWatched && cfg.Map != nil {
				if err := ins.AssociateMap(cfg.Map); err != nil {
					return nil, err
				}
			}
		}
		keep[name] = prog
	}
	spec.Programs = keep
	for name := range spec.Maps {
		if name != lookupBSS && name != lookupRodata && !refers(keep, name) {
			delete(spec.Maps, name)
			maps.DeleteFunc(spec.Variables, func(_ string, v *ebpf.VariableSpec) bool { return v.SectionName == name })
		}
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, err
	}
	// Per CPU by hand: as many elements as CPUs, to a power of two.
	n := uint32(1) << bits.Len(uint(cpus-1))
	bss := spec.Maps[lookupBSS]
	if size := n * uint32(unsafe.Sizeof(lookupLookupCpu{})); size < bss.ValueSize {
		bss.ValueSize = size
	} else if size > bss.ValueSize {
		return nil, fmt.Errorf("%d possible CPUs, at most %d are supported", cpus, bss.ValueSize/uint32(unsafe.Sizeof(lookupLookupCpu{})))
	}
	// They describe the size that it had.
	bss.Contents, bss.Key, bss.Value = nil, nil, nil
	delete(spec.Variables, lookupVarLookupCpus)
	byOrder := uint32(0)
	if cfg.Pages == PagesByOrder {
		byOrder = 1
	}
	if err := errors.Join(
		spec.Variables[lookupVarCpuMask].Set(n-1),
		spec.Variables[lookupVarPagesTid].Set(uint32(unix.Gettid())),
		spec.Variables[lookupVarPagesByOrder].Set(byOrder)); err != nil {
		return nil, err
	}
	coll, err := loadWithSessions(spec, opts, cfg.Function)
	if errors.Is(err, unix.E2BIG) && n > 128 {
		// The limit fell with kernel 63b8ce77b15e.
		return nil, fmt.Errorf("%w (%d CPUs need a %d MiB value, and this kernel allows 4)", err, n, bss.ValueSize>>20)
	}
	return coll, err
}

// refers tells whether any of the programs uses a map.
func refers(programs map[string]*ebpf.ProgramSpec, name string) bool {
	for _, p := range programs {
		for i := range p.Instructions {
			if p.Instructions[i].Reference() == name {
				return true
			}
		}
	}
	return false
}

// Close detaches the programs and frees what they counted.
func (p *LookupProbe) Close() error {
	errs := []error{p.Detach()}
	for _, prog := range p.progs {
		errs = append(errs, prog.Close())
	}
	for _, m := range p.maps {
		errs = append(errs, m.Close())
	}
	*p = LookupProbe{}
	return errors.Join(errs...)
}
