// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// Mechanisms by which a hook may attach, in the order of preference.
const (
	MechanismFentry = "fentry"
	MechanismKprobe = "kprobe"
)

// OwnPrefix starts the names of the tracer's own maps, whose deaths are
// excluded and counted.
const OwnPrefix = "mpf_"

// Attachment tells how one hook was attached, or why not.
type Attachment struct {
	Stage     string
	Function  string
	Mechanism string // empty: not attached
	Required  bool
	Err       error // why not by the last mechanism tried
	Refused   error // why not by a better mechanism, where another did
}

// UnsupportedError says that this kernel can't be traced at all.
type UnsupportedError struct {
	Function string
	Err      error
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("attach %s: %v (%s)", e.Function, e.Err, hint(e.Err))
}

func (e *UnsupportedError) Unwrap() error { return e.Err }

func hint(err error) string {
	switch {
	case strings.Contains(err.Error(), "cannot use helper bpf_probe_read"):
		return "the kernel is locked down (confidentiality) and lets no program read its memory; boot it with lockdown=none"
	case strings.Contains(err.Error(), "no BTF found"):
		return "the tracer finds the kernel's fields by BTF; take a kernel with CONFIG_DEBUG_INFO_BTF, or try --target vm"
	case errors.As(err, new(*memlockError)):
		return "before 5.11 BPF's memory counts against it: ulimit -l unlimited, or run it as root"
	case errors.As(err, new(*privilegeError)):
		return "give it CAP_BPF and CAP_PERFMON, as root has them; or try --target vm"
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return "this kernel refuses tracing programs; try --target vm"
	case errors.Is(err, btf.ErrNotFound), errors.Is(err, errNoFunction):
		return "this kernel has no such function, or no BTF; see mapprof doctor, or try --target vm"
	case errors.Is(err, errNoKprobes):
		return "take a kernel with CONFIG_KPROBE_EVENTS, or one that takes fentry, or try --target vm"
	}
	return "see mapprof doctor"
}

// Probes are attached programs. Methods may be called from one goroutine at a
// time, except Counters, InFlight and Stack, and that a Reader reads while others
// are called. Close comes last.
type Probes struct {
	coll        *ebpf.Collection
	types       *btf.Cache // the kernel's BTF, decoded once
	attachments []Attachment
	programs    map[string][]*ebpf.Program // by name; the copies
	loading     sync.Mutex                 // one program at a time
	links       []link.Link
	seatsAt     int64 // in .bss
	desksAt     int64
	byFunction  map[string][]link.Link
}

// Attach loads and attaches every hook that this kernel has. It fails with an
// UnsupportedError when one that is required can't be attached; the
// attachments up to there are returned all the same.
func Attach(cfg Config) (*Probes, []Attachment, error) {
	if err := mayLoad("probes"); err != nil {
		return nil, nil, err
	}
	prepared := cfg.Prepared
	switch {
	case cfg.Owners != nil && cfg.Owners.Inventory != nil:
		prepared = prepare(cfg.Owners.Inventory.types)
	case prepared == nil:
		prepared = Prepare()
	}
	spec, err := prepared.spec()
	if err != nil {
		return nil, nil, fmt.Errorf("read embedded BPF programs: %w", err)
	}
	if err := configure(spec, &cfg, prepared.addresses()); err != nil {
		return nil, nil, err
	}
	if cfg.lap != nil {
		prepared.Wait()
		cfg.lap(StepRead)
	}
	base := spec.Copy()
	base.Programs = nil
	coll, err := ebpf.NewCollectionWithOptions(base, ebpf.CollectionOptions{Cache: prepared.types})
	if err != nil {
		return nil, nil, &UnsupportedError{Function: "the tracer's maps", Err: err}
	}
	p := &Probes{coll: coll, types: prepared.types, seatsAt: variableAt(spec.Maps[".bss"], lifecycleVarSeats), desksAt: variableAt(spec.Maps[".bss"], lifecycleVarDesks), programs: map[string][]*ebpf.Program{}, byFunction: map[string][]link.Link{}}
	if err := p.attachAll(spec, &cfg); errors.Is(err, ErrEnded) {
		return nil, p.attachments, errors.Join(err, p.Close())
	} else if err != nil {
		p.Close()
		return nil, p.attachments, err
	}
	return p, p.attachments, nil
}

// variableAt is where a variable lies in its section.
func variableAt(section *ebpf.MapSpec, name string) int64 {
	for _, v := range section.Value.(*btf.Datasec).Vars {
		if v.Type.TypeName() == name {
			return int64(v.Offset)
		}
	}
	panic("the embedded BPF programs have no variable " + name)
}

// attachAll attaches the hooks in their order, while the programs of those that follow
// are loaded.
func (p *Probes) attachAll(spec *ebpf.CollectionSpec, cfg *Config) (err error) {
	list := slices.Clone(p.hooks(cfg))
	preempted := mayPreempt()
	for i := range list {
		if cfg.Once || list[i].tasksOnly && !preempted {
			list[i].copies = 1
		}
	}
	ahead := p.loadAhead(spec, list, cfg.Mechanisms[0])
	defer func() {
		if failed := ahead.end(); failed != nil {
			err = errors.Join(err, failed)
		}
	}()
	if cfg.lap != nil {
		<-ahead.done
		cfg.lap(StepLoad)
		defer cfg.lap(StepAttach)
	}
	for i := range list {
		if cfg.ended() {
			return ErrEnded
		}
		a := p.attach(spec, list[i], cfg.Mechanisms, <-ahead.loaded)
		p.attachments = append(p.attachments, a)
		if a.Required && a.Mechanism == "" && err == nil {
			err = &UnsupportedError{Function: a.Function, Err: a.Err}
		}
	}
	if err == nil && !p.has(StageEnqueue) {
		err = &UnsupportedError{Function: "call_rcu", Err: errNoFunction}
	}
	return err
}

// ForgetTypes lets go of the kernel's decoded BTF, which a recording would otherwise
// have in memory for days. Who asks for a type afterwards has it decoded again. inv may
// be nil.
func (p *Probes) ForgetTypes(inv *Inventory) {
	p.types = btf.NewCache()
	if inv != nil {
		inv.types = p.types
	}
}

var (
	errNoFunction = errors.New("no such function in this kernel")
	errNoKprobes  = errors.New("no kprobes in this kernel, neither as a PMU nor in tracefs")
)

// hooks lists what to attach. A hook on owners comes before those that need what
// it keeps.
func (p *Probes) hooks(cfg *Config) []hook {
	if cfg.Owners == nil {
		return hooks
	}
	list := ownerHooks
	if p.params("bpf_map_fd_put_ptr") == 1 {
		list = append(slices.Clone(ownerHooks[:len(ownerHooks)-1]), outerHooks...)
	}
	return append(slices.Clone(hooks), list...)
}

// params is how many parameters a function has, -1 where the kernel's BTF has no
// such function.
func (p *Probes) params(function string) int {
	kernel, err := p.types.Kernel()
	if err != nil {
		return -1
	}
	var fn *btf.Func
	if err := kernel.TypeByName(function, &fn); err != nil {
		return -1
	}
	proto, ok := fn.Type.(*btf.FuncProto)
	if !ok {
		return -1
	}
	return len(proto.Params)
}

// attach tries the mechanisms in turn; entry and exit go together or not. By the first,
// the programs are loaded.
func (p *Probes) attach(spec *ebpf.CollectionSpec, h hook, mechanisms []string, loaded loadedHook) Attachment {
	a := Attachment{Stage: h.stage, Function: h.function, Required: h.required}
	for i, mechanism := range mechanisms {
		if len(h.programs(mechanism)) == 0 {
			continue
		}
		if i > 0 {
			loaded = p.loadHook(spec, &h, mechanism)
		}
		links, err := p.attachHook(&h, mechanism, loaded)
		if err == nil {
			p.keep(&h, links)
			a.Mechanism, a.Err, a.Refused = mechanism, nil, a.Err
			return a
		}
		// The first reason is the better one: a kernel without kprobes
		// would hide why fentry didn't do.
		if a.Err == nil {
			a.Err = err
		}
	}
	return a
}

// attachHook attaches all programs of a hook, or none.
func (p *Probes) attachHook(h *hook, mechanism string, loaded loadedHook) (links []link.Link, err error) {
	if loaded.err != nil {
		return nil, loaded.err
	}
	for _, prog := range loaded.programs {
		l, err := attachProgram(prog, h.function, mechanism)
		if err != nil {
			for _, l := range links {
				l.Close()
			}
			return nil, errors.Join(err, loaded.close())
		}
		links = append(links, l)
	}
	for _, prog := range loaded.programs {
		p.programs[prog.name] = append(p.programs[prog.name], prog.Program)
	}
	return links, nil
}

func attachProgram(prog program, function, mechanism string) (l link.Link, err error) {
	switch {
	case mechanism == MechanismFentry:
		l, err = link.AttachTracing(link.TracingOptions{Program: prog.Program})
	case strings.HasPrefix(prog.name, "krp_"):
		l, err = link.Kretprobe(function, prog.Program, nil)
	default:
		l, err = link.Kprobe(function, prog.Program, nil)
	}
	switch {
	case !errors.Is(err, os.ErrNotExist):
	case mechanism == MechanismKprobe && !hasKprobes():
		err = errNoKprobes
	default:
		err = errNoFunction
	}
	if err != nil {
		return nil, shorten(err)
	}
	return l, nil
}

// hasKprobes tells whether the kernel offers kprobes, in one of the places
// where programs ask for them.
func hasKprobes() bool {
	for _, file := range []string{"/sys/bus/event_source/devices/kprobe/type", "/sys/kernel/tracing/kprobe_events", "/sys/kernel/debug/tracing/kprobe_events"} {
		if _, err := os.Stat(file); err == nil {
			return true
		}
	}
	return false
}

// hasBTF tells whether the kernel's BTF has the function, which fentry needs.
func (p *Probes) hasBTF(function string) error {
	kernel, err := p.types.Kernel()
	if err != nil {
		return err
	}
	var fn *btf.Func
	if err := kernel.TypeByName(function, &fn); errors.Is(err, btf.ErrNotFound) {
		return errNoFunction
	} else if err != nil {
		return err
	}
	return nil
}

// shorten keeps the first line: the verifier's log runs to pages.
func shorten(err error) error {
	var v *ebpf.VerifierError
	if errors.As(err, &v) {
		return fmt.Errorf("%w: %s", v.Cause, lastLine(v.Log))
	}
	// The library would advise about RLIMIT_MEMLOCK, which isn't it.
	if errors.Is(err, unix.EPERM) {
		return unix.EPERM
	}
	return err
}

func lastLine(log []string) string {
	for i := len(log) - 1; i >= 0; i-- {
		line := strings.TrimSpace(log[i])
		if line != "" && !strings.HasPrefix(line, "processed ") {
			return line
		}
	}
	return "no verifier log"
}

func (p *Probes) has(stage string) bool {
	for _, a := range p.attachments {
		if a.Stage == stage && a.Mechanism != "" {
			return true
		}
	}
	return false
}

// Start begins to watch: deaths whose last put comes after it are recorded.
func (p *Probes) Start() error { return p.setReady(lifecycleWatchStateREADY_STARTS) }

// Stop ends watching new deaths; those under way are still recorded.
func (p *Probes) Stop() error { return p.setReady(lifecycleWatchStateREADY_ENDS) }

func (p *Probes) setReady(v lifecycleWatchState) error {
	if err := p.coll.Variables[lifecycleVarReady].Set(uint32(v)); err != nil {
		return fmt.Errorf("set the tracer's ready flag: %w", err)
	}
	return nil
}

// Reader opens the ring buffer. The caller closes it.
func (p *Probes) Reader() (*ringbuf.Reader, error) {
	r, err := ringbuf.NewReader(p.coll.Maps[lifecycleMapMpfEvents])
	if err != nil {
		return nil, fmt.Errorf("open ring buffer: %w", err)
	}
	return r, nil
}

// Close detaches everything, the last put first so that no death is left
// half seen, and frees the maps. It returns every error.
func (p *Probes) Close() error { return p.CloseTelling(func(_, _ uint64) {}) }

// CloseTelling is Close, and tells how many links are closed. One after the other:
// 6.1 and 6.12 wait for RCU-tasks in ftrace_shutdown(), with the locks of the function
// tracer held, so programs that are detached at once wait for each other. Tried on 5.10,
// 6.1, 6.12 and 7.2: closing all at once took as long or longer.
func (p *Probes) CloseTelling(tell func(done, total uint64)) error {
	var errs []error
	for i := len(p.links) - 1; i >= 0; i-- {
		errs = append(errs, p.links[i].Close())
		tell(uint64(len(p.links)-i), uint64(len(p.links)))
	}
	p.links = nil
	for _, copies := range p.programs {
		for _, prog := range copies {
			errs = append(errs, prog.Close())
		}
	}
	p.programs = nil
	p.coll.Close()
	return errors.Join(errs...)
}
