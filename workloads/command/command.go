// SPDX-License-Identifier: Apache-2.0

//go:build linux

package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
)

// Name is the workload's.
const Name = "record"

func init() {
	workloads.Register(workloads.Description{
		Name: Name, Summary: "watches the maps of programs that aren't mapprof's", Hidden: true,
		New: func() workloads.Workload { return new(Workload) },
	})
}

// Workload runs a program, or none, while whatever maps die are watched.
type Workload struct {
	Args     []string // of the program; empty: none is run
	Env      []string // added to that of mapprof
	Duration time.Duration
	Filter   workloads.Filter
	Stuck    time.Duration // tell of deaths that are pending longer; 0: of none
	// Own wants only what the program, and what it starts, create or drop.
	Own bool
	// Init says that the program is to be PID 1.
	Init bool
	// Root and Modules are what the machine was made of, for the result.
	Root    string
	Modules []string
	// GuestBytes is what the program and its files take of a guest's memory, RootBytes
	// what the guest must have room for beside them.
	GuestBytes, RootBytes uint64
}

// AddFlags registers the parameters. Args and environment are lists as JSON: this is
// how they get to a guest.
func (w *Workload) AddFlags(fs *pflag.FlagSet) {
	fs.Var(jsonList{&w.Args}, "args", "the program and its arguments")
	fs.Var(jsonList{&w.Env}, "env", "its environment, added to mapprof's")
	fs.DurationVar(&w.Duration, "duration", 0, "stop after this long (default: when the command ends, or at Ctrl-C)")
	fs.DurationVar(&w.Stuck, "stuck-after", 5*time.Second, "tell at once of a map whose memory is held for longer than this (0: of none)")
	fs.StringSliceVar(&w.Filter.MapNames, "map-name", nil, "only maps of this name (a glob)")
	fs.StringSliceVar(&w.Filter.MapTypes, "map-type", nil, "only maps of this type")
	fs.StringSliceVar(&w.Filter.Comms, "comm", nil, "only maps that a thread of this name created or dropped (a glob)")
	fs.StringSliceVar(&w.Filter.Cgroups, "cgroup", nil, "only maps of this cgroup and those below it: its path below the root of cgroups")
	fs.StringSliceVar(&w.Filter.OuterNames, "outer-name", nil, "only maps that were taken out of an outer map of this name (a glob)")
	fs.Uint32Var(&w.Filter.PID, "pid", 0, "only maps that this process, or one that descends from it, created or dropped")
	fs.BoolVar(&w.Own, "own", false, "only maps of the command")
	fs.BoolVar(&w.Init, "init", false, "make the command the VM's PID 1 (without it: if --root is given and it is called systemd or init)")
	fs.StringVar(&w.Root, "root", "", "boot the VM with this directory as its root file system; the command is one in it (debootstrap, mmdebstrap and docker export make such)")
	fs.StringSliceVar(&w.Modules, "module", nil, "load this module of the kernel's package, and what it depends on, before the command; repeatable")
	fs.Uint64Var(&w.RootBytes, "root-bytes", 0, "what the guest must have room for beside them")
	fs.Uint64Var(&w.GuestBytes, "guest-bytes", 0, "what the program's files take of a guest's memory")
	fs.VisitAll(func(f *pflag.Flag) {
		// A result has what was asked for, and no one's environment.
		if f.Annotations = map[string][]string{workloads.OnlyGiven: nil}; f.Name == "guest-bytes" || f.Name == "root-bytes" || f.Name == "env" {
			f.Annotations = map[string][]string{workloads.Untold: nil}
		}
	})
}

// jsonList is a flag that holds a list as JSON.
type jsonList struct{ list *[]string }

func (l jsonList) String() string {
	if l.list == nil || len(*l.list) == 0 {
		return ""
	}
	b, err := json.Marshal(*l.list)
	if err != nil {
		return ""
	}
	return string(b)
}

func (l jsonList) Set(s string) error {
	*l.list = nil
	if s == "" {
		return nil
	}
	return json.Unmarshal([]byte(s), l.list)
}

func (jsonList) Type() string { return "list" }

// EncodeList is the value of a flag that takes a list.
func EncodeList(list []string) string { return jsonList{&list}.String() }

// Strategies has one: what the kernel does with the maps is not the recorder's choice.
func (w *Workload) Strategies() []string { return []string{results.StrategyAny} }

// Check implements workloads.Workload.
func (w *Workload) Check(strategy string) error {
	if err := workloads.CheckStrategy(w, strategy); err != nil {
		return err
	}
	if w.Duration < 0 {
		return errors.New("--duration must not be negative")
	}
	if w.Stuck < 0 {
		return errors.New("--stuck-after must not be negative")
	}
	for flag, globs := range map[string][]string{"map-name": w.Filter.MapNames, "comm": w.Filter.Comms, "outer-name": w.Filter.OuterNames} {
		for _, g := range globs {
			if _, err := path.Match(g, ""); err != nil {
				return fmt.Errorf("--%s %q is no glob (as in a shell: * ? [a-z])", flag, g)
			}
		}
	}
	for _, name := range w.Filter.MapTypes {
		if _, err := mapType(name); err != nil {
			return err
		}
	}
	return nil
}

// mapType is the type of that name as deaths have it. The name may have hyphens where
// the kernel's has underscores.
func mapType(name string) (string, error) {
	var known []string
	for _, t := range results.MapTypes() {
		if t.Kernel == strings.ReplaceAll(name, "-", "_") {
			return t.Display, nil
		}
		known = append(known, strings.ReplaceAll(t.Kernel, "_", "-"))
	}
	return "", fmt.Errorf("--map-type %q is no type of map (known: %s)", name, strings.Join(known, ", "))
}

// AtLeast implements workloads.Timed.
func (w *Workload) AtLeast() time.Duration { return w.Duration }

// MemoryBytes is what the program's files take, twice: packed and unpacked. What the
// program itself takes is not known.
func (w *Workload) MemoryBytes(string, int) uint64 {
	return min(w.GuestBytes, math.MaxUint64/8)*2 + min(w.RootBytes, math.MaxUint64/8) + 64<<20
}

// Setup finds the program.
func (w *Workload) Setup(_ context.Context, strategy string) (workloads.Instance, error) {
	if err := w.Check(strategy); err != nil {
		return nil, err
	}
	i := &instance{w: w, output: io.Discard, onEnd: func() {}}
	if len(w.Args) > 0 {
		file, err := exec.LookPath(w.Args[0])
		if err != nil {
			return nil, Explain(w.Args[0], err)
		}
		i.file = file
	}
	return i, nil
}

// Explain says in one line why a program can't be run.
func Explain(name string, err error) error {
	var reason *exec.Error
	if errors.As(err, &reason) {
		err = reason.Err
	}
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("run %s: there is no such program", name)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("run %s: it may not be executed (chmod +x)", name)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("run %s: it is neither a program nor a script with #! for this machine", name)
	}
	return fmt.Errorf("run %s: %w", name, err)
}

type instance struct {
	w      *Workload
	file   string
	output io.Writer
	become func(file string, args, env []string, output io.Writer) (<-chan string, error)
	onEnd  func()
}

// WatchPrefix implements workloads.Instance: no name is known.
func (i *instance) WatchPrefix() string { return "" }

// Note implements workloads.Instance.
func (i *instance) Note() string { return "" }

// Close implements workloads.Instance.
func (i *instance) Close() error { return nil }

// SetOutput implements workloads.Foreign.
func (i *instance) SetOutput(w io.Writer) { i.output = w }

// SetBecome implements workloads.Foreign.
func (i *instance) SetBecome(f func(file string, args, env []string, output io.Writer) (<-chan string, error)) {
	i.become = f
}

// StuckAfter implements workloads.Foreign.
func (i *instance) StuckAfter() time.Duration { return i.w.Stuck }

// OnEnd implements workloads.Foreign.
func (i *instance) OnEnd(f func()) { i.onEnd = f }

// Filter implements workloads.Foreign.
func (i *instance) Filter() workloads.Filter {
	f := i.w.Wanted()
	if i.w.Own && i.file != "" {
		f.PID = uint32(os.Getpid()) // the command descends from this process
	}
	return f
}

// Wanted is the filter, which has been checked, with the kernel's names of types.
func (w *Workload) Wanted() workloads.Filter {
	f := w.Filter
	f.MapTypes = nil
	for _, name := range w.Filter.MapTypes {
		if t, err := mapType(name); err == nil {
			f.MapTypes = append(f.MapTypes, t)
		}
	}
	return f
}

const (
	// beat is how often progress is told.
	beat = 100 * time.Millisecond
	// lingering is how long to go on when the program has ended: a program of BPF that
	// it leaves holds its maps for a grace period.
	lingering = time.Second
)

// Run implements workloads.Instance. A recording that is told to end is whole.
func (i *instance) Run(ctx context.Context, progress func(done, total uint64)) (workloads.Result, error) {
	result := workloads.Result{Loop: results.LoopOpen}
	began := time.Now()
	var over <-chan time.Time
	if i.w.Duration > 0 {
		t := time.NewTimer(i.w.Duration)
		defer t.Stop()
		over = t.C
	}
	var p *program
	var ended <-chan struct{}
	var off <-chan string
	switch {
	case i.file == "":
	case i.w.Init:
		if i.become == nil {
			return result, errors.New("--init needs a VM: this machine has a PID 1")
		}
		var err error
		if off, err = i.become(i.file, i.w.Args, i.w.Env, i.output); err != nil {
			return result, err
		}
		result.Command = &workloads.CommandEnd{Args: i.w.Args, Stopped: true}
	default:
		var err error
		if p, err = start(i.file, i.w.Args, i.w.Env, i.output); err != nil {
			return result, err
		}
		ended = p.ended
	}
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			result.Command, ended = p.end(), nil
			t := time.NewTimer(lingering)
			defer t.Stop()
			over = t.C
			continue
		case <-off:
			result.Command.Stopped = false
		case <-ctx.Done():
		case <-over:
		case <-tick.C:
			// In seconds, of how many there are to be.
			progress(uint64(time.Since(began).Seconds()), uint64(i.w.Duration.Seconds()))
			continue
		}
		i.onEnd()
		if p != nil && result.Command == nil {
			p.stop()
			result.Command = p.end()
		}
		return result, nil
	}
}
