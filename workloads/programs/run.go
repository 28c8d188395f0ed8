// SPDX-License-Identifier: Apache-2.0

//go:build linux

package programs

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/internal/ktime"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// Roles of the programs, and the programs' names.
const (
	caller    = "mp_caller"
	tracer    = "mp_tracer"
	extension = "mp_extension"
	tracerExt = "mp_tracer_ext"
)

// roles are what metrics call the programs.
var roles = map[string]string{caller: "target", tracer: "fentry", extension: "freplace", tracerExt: "fentry-of-freplace"}

// What the caller returns with the function itself, and with its replacement: the sums of
// programs.bpf.c.
const original, replaced = 11, 12

// instance loads programs.
type instance struct {
	cfg    *Workload
	prefix string
	spec   *ebpf.CollectionSpec
	tracer workloads.Tracer
	name   func(addrs []uint64) ([]string, error) // nil: nobody names addresses
	record func(ns int64)
	result workloads.Result

	late    link.Link // of the program whose trampoline the last puts run through
	lateIs  string    // what begins that trampoline's name
	tid     int
	loads   []load
	unloads []unload
	attach  map[string][]float64
	detach  []float64 // from a function of the kernel
	calls   map[string]workloads.Calls
}

// unload is a program that was unloaded, and its map.
type unload struct {
	role  string
	mapID uint32
	begin int64 // the close of its only descriptor
}

func newInstance(w *Workload) (*instance, error) {
	spec, err := loadPrograms()
	if err != nil {
		return nil, fmt.Errorf("read embedded BPF programs: %w", err)
	}
	i := &instance{cfg: w, prefix: mapops.UniqueName("mp_progs"), spec: spec, record: func(int64) {}, attach: map[string][]float64{}}
	// Within its first load cilium/ebpf has programs of its own verified, to find out what
	// the kernel has: that load doesn't count.
	err = i.verify()
	i.loads = nil
	return i, err
}

// program is one that is loaded, with its map and its link.
type program struct {
	name string
	prog *ebpf.Program
	seen *ebpf.Map
	id   uint32 // of the map
	link link.Link
}

// load loads one of the programs, with a map of its own; on: the program that it traces
// or extends.
func (i *instance) load(name string, on *program, function string) (*program, error) {
	spec := i.spec.Copy()
	spec.Programs = map[string]*ebpf.ProgramSpec{name: spec.Programs[name]}
	spec.Maps["mp_seen"].Name = fmt.Sprintf("%s%c", i.prefix, roles[name][0])
	if on != nil {
		spec.Programs[name].AttachTarget, spec.Programs[name].AttachTo = on.prog, function
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	defer coll.Close()
	p := &program{name: name, prog: coll.DetachProgram(name), seen: coll.DetachMap("mp_seen")}
	id, err := mapops.MapID(p.seen)
	if err != nil {
		return nil, errors.Join(err, p.prog.Close(), p.seen.Close())
	}
	p.id = uint32(id)
	return p, nil
}

// attached attaches a program, and keeps how long that took.
func (i *instance) attached(p *program) (err error) {
	begin := time.Now()
	if p.name == extension {
		p.link, err = link.AttachFreplace(nil, "", p.prog)
	} else {
		p.link, err = link.AttachTracing(link.TracingOptions{Program: p.prog})
	}
	if err != nil {
		return fmt.Errorf("attach %s: %w", p.name, err)
	}
	i.attach[roles[p.name]] = append(i.attach[roles[p.name]], float64(time.Since(begin)))
	return nil
}

func (p *program) detach() error {
	if p.link == nil {
		return nil
	}
	err := p.link.Close()
	p.link = nil
	return err
}

// unload drops a program whose map only it holds then, and waits until the map has lost
// its last reference: the program has been freed.
func (i *instance) unload(p *program) error {
	if p == nil {
		return nil
	}
	if err := errors.Join(p.detach(), p.seen.Close()); err != nil {
		return errors.Join(err, p.prog.Close())
	}
	u := unload{roles[p.name], p.id, ktime.Now()}
	if err := p.prog.Close(); err != nil {
		return err
	}
	if err := mapops.AwaitLastPut(ebpf.MapID(p.id), time.Now().Add(freedWithin)); err != nil {
		return fmt.Errorf("unload %s: %w", p.name, err)
	}
	i.record(ktime.Now() - u.begin)
	i.unloads = append(i.unloads, u)
	i.result.LastPuts++
	i.result.Ops++
	return nil
}

// freedWithin is more than any grace period takes.
const freedWithin = 2 * time.Minute

// Run loads, traces, replaces and unloads, once after the other.
func (i *instance) Run(ctx context.Context, progress func(done, total uint64)) (_ workloads.Result, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	i.result = workloads.Result{Loop: "closed", Metrics: map[string]workloads.Metric{}}
	i.tid = mapops.ProbesTID()
	if i.late, err = i.attachLate(); err != nil {
		i.found(fmt.Sprintf("a trampoline on %s: absent: %v", freeing, err))
	}
	err = i.traced(func() error {
		for n := range i.cfg.Count {
			if ctx.Err() != nil {
				i.result.Interrupted = true
				return nil
			}
			if err := errors.Join(i.verify(), i.turn(n == 0), i.onKernel()); err != nil {
				return err
			}
			progress(i.result.Ops, i.cfg.Deaths())
		}
		return nil
	})
	return i.result, err
}

// freeing is a function of the kernel that the last put of a program's map is in.
const freeing = "__bpf_free_used_maps"

// attachLate makes a trampoline, after the symbols were read by which the stacks of
// deaths are named. It stays until these have been read.
func (i *instance) attachLate() (link.Link, error) {
	spec := i.spec.Copy()
	spec.Programs, spec.Maps = map[string]*ebpf.ProgramSpec{"mp_freed": spec.Programs["mp_freed"]}, nil
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load mp_freed: %w", err)
	}
	defer coll.Close()
	l, err := link.AttachTracing(link.TracingOptions{Program: coll.Programs["mp_freed"]})
	if err != nil {
		return nil, fmt.Errorf("attach mp_freed: %w", err)
	}
	i.lateIs = "bpf_trampoline_"
	if info, err := l.Info(); err == nil && info.Tracing() != nil {
		i.lateIs = trampoline(info.Tracing().TargetObjectId, uint32(info.Tracing().TargetBtfId))
	} // before 5.13 a link doesn't tell what it is attached to
	return l, nil
}

// trampoline is what the kernel calls the trampoline of one of its functions, by the
// function's BTF (bpf_trampoline_compute_key).
func trampoline(object, function uint32) string {
	const ofKernel = 1 << 31 // and not of a program
	return fmt.Sprintf("bpf_trampoline_%d", uint64(object)<<32|ofKernel|uint64(function))
}

// lateStacks tells whether the stacks of last puts name that trampoline.
func (i *instance) lateStacks(deaths []workloads.Death, r *workloads.Result) {
	named, without := 0, []string(nil)
	for _, d := range deaths {
		at := slices.Index(d.Stack, freeing)
		switch {
		case at < 0:
		case at+1 < len(d.Stack) && strings.HasPrefix(d.Stack[at+1], i.lateIs):
			if named++; named == 1 {
				r.Findings = append(r.Findings, "stack of a last put through a trampoline that was attached after the symbols were read: "+strings.Join(d.Stack[:min(at+4, len(d.Stack))], " < "))
			}
		default:
			without = d.Stack
		}
	}
	if without != nil {
		r.Failures = append(r.Failures, fmt.Sprintf("stacks: FAIL: no trampoline behind %s in the stack of a last put: %s", freeing, strings.Join(without, " < ")))
	}
	if named == 0 && without == nil {
		r.Findings = append(r.Findings, "no last put was seen in "+freeing+" (this kernel has it inlined, or no trampoline on it): none of their stacks has its trampoline")
	}
}

// turn takes each program through its life. In the first one stacks are named, which
// takes long.
func (i *instance) turn(first bool) (err error) {
	target, err := i.load(caller, nil, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, i.unload(target)) }()
	if err := i.trace(target, first); err != nil {
		return err
	}
	return i.extend(target, first)
}

// trace has the function traced. A function that is traced can't be replaced: the kernel
// says so.
func (i *instance) trace(target *program, first bool) (err error) {
	p, err := i.load(tracer, target, "mp_callee")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, i.unload(p)) }()
	if err := i.attached(p); err != nil {
		return err
	}
	if err := run(target, original); err != nil {
		return err
	}
	if !first {
		return nil
	}
	if err := i.stack("fentry", p, tracer, "mp_callee", caller); err != nil {
		return err
	}
	return i.replaceTraced(target)
}

// replaceTraced tries to replace the function while it is traced.
func (i *instance) replaceTraced(target *program) error {
	p, err := i.load(extension, target, "mp_callee")
	if err == nil {
		l, attaching := link.AttachFreplace(nil, "", p.prog)
		if err = attaching; err == nil {
			err = l.Close()
			i.found("freplace of a function that is traced: taken")
		}
		i.result.LastPuts++
		err = errors.Join(err, p.seen.Close(), p.prog.Close(), mapops.AwaitLastPut(ebpf.MapID(p.id), time.Now().Add(freedWithin)))
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		i.found(fmt.Sprintf("freplace of a function that is traced: refused (%s)", unix.ErrnoName(errno)))
		return nil
	}
	return err
}

// extend has the function replaced, and the replacement traced.
func (i *instance) extend(target *program, first bool) (err error) {
	p, err := i.load(extension, target, "mp_callee")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, i.unload(p)) }()
	if err := i.attached(p); err != nil {
		return err
	}
	if err := run(target, replaced); err != nil {
		return err
	}
	t, err := i.load(tracerExt, p, extension)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, i.unload(t)) }()
	if err := i.attached(t); err != nil {
		return err
	}
	if err := run(target, replaced); err != nil || !first {
		return err
	}
	return i.stack("freplace", t, tracerExt, extension, caller)
}

// run runs the caller, whose function must return what is expected.
func run(target *program, want uint32) error {
	got, err := target.prog.Run(&ebpf.RunOptions{Data: make([]byte, 64)})
	if err != nil {
		return fmt.Errorf("run %s: %w", target.name, err)
	}
	if got != want {
		return fmt.Errorf("%s returned %d, want %d", target.name, got, want)
	}
	return nil
}

// stack names the stack that a program has kept. The names are read now, while all of
// its programs and trampolines are there. It must have the program, a trampoline, the
// function that is traced, and the program that runs it.
func (i *instance) stack(what string, p *program, must ...string) error {
	if i.name == nil {
		return nil
	}
	var seen programsSeen
	if err := p.seen.Lookup(uint32(0), &seen); err != nil {
		return fmt.Errorf("read a stack: %w", err)
	}
	if seen.Bytes <= 0 || seen.Runs == 0 {
		return fmt.Errorf("%s: %w: %d runs, %w", what, errNoStack, seen.Runs, unix.Errno(-seen.Bytes))
	}
	names, err := i.name(seen.Frames[:min(int(seen.Bytes/8), len(seen.Frames))])
	if err != nil {
		return err
	}
	text := strings.Join(names, " < ")
	i.found("stack through " + what + ": " + text)
	for _, name := range append(must, "bpf_trampoline_") {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, name) }) {
			i.result.Failures = append(i.result.Failures, fmt.Sprintf("stacks: FAIL: no %s in the stack through %s: %s", name, what, text))
		}
	}
	return nil
}

func (i *instance) found(text string) {
	if !slices.Contains(i.result.Findings, text) {
		i.result.Findings = append(i.result.Findings, text)
	}
}

// Conclude adds what the deaths of the programs' maps tell: each is in the free of its
// program.
func (i *instance) Conclude(deaths []workloads.Death, r *workloads.Result) {
	i.verified(r)
	i.lateStacks(deaths, r)
	r.Add("programs.attach."+kernelFunction, "ns", "bpf(2) that makes the link to a function of the kernel", i.attach[kernelFunction])
	r.Add("programs.detach."+kernelFunction, "ns", "close(2) of that link", i.detach)
	free := i.calls["free"]
	for _, role := range []string{roles[caller], roles[tracer], roles[extension], roles[tracerExt]} {
		r.Add("programs.attach."+role, "ns", "bpf(2) that makes the link", i.attach[role])
		var waits []float64
		for _, u := range i.unloads {
			if u.role != role {
				continue
			}
			if at := slices.IndexFunc(deaths, func(d workloads.Death) bool { return d.MapID == u.mapID }); at >= 0 {
				if c, ok := free.Around(deaths[at].PutNS, u.begin); ok {
					waits = append(waits, float64(c.BeginNS-u.begin))
				}
			}
		}
		r.Add("programs.free."+role, "ns", "from the close(2) of the program's only descriptor to "+free.Function+": the program's own grace period, and the worker", waits)
	}
}

// traced runs f, with the calls of the verifier and the frees of programs where something
// can time them.
func (i *instance) traced(f func() error) (err error) {
	if i.tracer == nil {
		return f()
	}
	i.calls, err = i.tracer.Calls(map[string][]string{"verify": {"do_check_common"}, "free": {"bpf_prog_free_deferred"}}, f)
	return err
}

// WatchPrefix begins the names of the programs' maps, and of no others.
func (i *instance) WatchPrefix() string { return i.prefix }

// Note is empty: nothing is arranged.
func (i *instance) Note() string { return "" }

// SetTracer gives it what times calls in the kernel.
func (i *instance) SetTracer(t workloads.Tracer) { i.tracer = t }

// SetNames implements workloads.Naming.
func (i *instance) SetNames(name func(addrs []uint64) ([]string, error)) { i.name = name }

// SetRecorder implements workloads.Recorded.
func (i *instance) SetRecorder(record func(ns int64)) { i.record = record }

// Close takes away what outlives Run.
func (i *instance) Close() error {
	if i.late == nil {
		return nil
	}
	return i.late.Close()
}
