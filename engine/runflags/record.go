// SPDX-License-Identifier: Apache-2.0

//go:build linux

package runflags

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/engine/targetflags"
	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/program"
	"github.com/mapprof/mapprof/target/rootfs"
	"github.com/mapprof/mapprof/workloads/command"
)

// Record is the flags of a recording.
type Record struct {
	Flags
	Propagate bool // return the command's exit code

	workload command.Workload // with the filters and the duration
	files    []string
	env      []string
	tree     *rootfs.Tree // of --root; nil: none was given
	all      bool
	fs       *pflag.FlagSet
	args     []string // the command
}

// shared are the flags of the workload that a recording has as they are.
var shared = []string{"duration", "map-name", "map-type", "comm", "cgroup", "outer-name", "pid", "stuck-after", "init", "root", "module"}

// Add registers the flags.
func (r *Record) Add(fs *pflag.FlagSet, defaultKernel string) {
	r.fs = fs
	own := pflag.NewFlagSet(command.Name, pflag.ContinueOnError)
	r.workload.AddFlags(own)
	for _, name := range shared {
		fs.AddFlag(own.Lookup(name))
	}
	fs.BoolVar(&r.all, "all", false, "on the local target, whatever program's maps die, not only the command's")
	fs.StringArrayVar(&r.files, "file", nil, "copy this file or directory into the VM, HOST or HOST:GUEST; repeatable (the command and its libraries are there)")
	fs.StringArrayVar(&r.env, "env", nil, "set NAME=VALUE for the command; repeatable")
	fs.BoolVar(&r.Propagate, "propagate-exit", false, "exit with the command's code where mapprof itself has nothing to report")
	r.AddRun(fs, command.Name)
	fs.DurationVar(&r.Options.Interval, "interval", 10*time.Second, "how often what there is is kept for good, and an interval of the histograms ends (wall clock)")
	fs.Uint64Var(&r.Options.DeathsLimit, "deaths-limit", 10e6, "keep this many single deaths of a trial at most; all other figures go on")
	fs.Uint32Var(&r.Options.OwnedMaps, "owned-maps", 65536, "of how many live maps the creator and the outer map are kept at once")
	r.AddTracer(fs, defaultKernel)
	flagvalue.SetGroup(fs, flagvalue.What, "map-name", "map-type", "comm", "cgroup", "outer-name", "pid", "all", "env", "stuck-after")
	flagvalue.SetGroup(fs, flagvalue.Where, "root", "init", "module", "file")
	flagvalue.SetGroup(fs, flagvalue.HowMuch, "duration", "interval", "deaths-limit", "owned-maps")
	flagvalue.SetGroup(fs, flagvalue.Output, "propagate-exit")
}

// Check says what is wrong with the flags and the command, which may be empty.
func (r *Record) Check(args []string) error {
	r.args = args
	if err := errors.Join(r.Flags.Check(), r.CheckTracer(command.Name)); err != nil {
		return err
	}
	for _, e := range r.env {
		if name, _, ok := strings.Cut(e, "="); !ok || name == "" {
			return fmt.Errorf("--env %q is not NAME=VALUE", e)
		}
	}
	r.Modules = r.workload.Modules
	if err := r.checkCommand(); err != nil {
		return err
	}
	switch {
	case r.Options.Interval < time.Second:
		return errors.New("--interval must be at least 1s")
	case r.fs.Changed("interval") && results.Deterministic(r.Machine.Clock):
		return errors.New("--interval: on the deterministic clock nothing leaves the VM before the end")
	case r.Options.OwnedMaps == 0 || r.Options.OwnedMaps > 1<<24:
		return errors.New("--owned-maps must be from 1 to 16777216")
	case r.Options.DeathsLimit == 0:
		return errors.New("--deaths-limit must not be 0 (--no-deaths keeps none)")
	case len(args) == 0 && (r.Target == targetflags.VM || len(r.Kernels) > 0 || r.workload.Root != ""):
		return errNoCommand
	case len(args) == 0 && (len(r.env) > 0 || len(r.files) > 0 || r.Propagate):
		return errors.New("--env, --file and --propagate-exit are for a command (mapprof record -- ./agent)")
	case len(args) == 0 && r.Trials > 1:
		return errors.New("--trials repeats a command, and there is none")
	}
	if err := r.workload.Check(results.StrategyAny); err != nil {
		return err
	}
	return r.AllowFor(r.workload.AtLeast(), 0)
}

// checkCommand looks for the command where it will be run.
func (r *Record) checkCommand() (err error) {
	if r.workload.Root != "" {
		if r.tree, err = rootfs.Open(r.workload.Root); err != nil {
			return err
		}
	}
	if len(r.args) == 0 {
		return nil
	}
	if r.tree == nil {
		if _, err := exec.LookPath(r.args[0]); err != nil {
			return command.Explain(r.args[0], err)
		}
		return nil
	}
	if !r.fs.Changed("init") {
		r.workload.Init = slices.Contains(inits, path.Base(r.args[0]))
	}
	_, err = r.tree.LookPath(r.args[0])
	return err
}

// inits are the names of programs that only work as PID 1.
var inits = []string{"systemd", "init"}

// Plan is what the flags ask for, on that target: in a VM with the command's files.
func (r *Record) Plan(where target.Target, output io.Writer) (engine.Plan, error) {
	plan := r.plan(where, command.Name)
	plan.Strategies, plan.Output = []string{results.StrategyAny}, output
	params := map[string]string{}
	for _, name := range shared {
		if r.fs.Changed(name) {
			params[name] = strings.Trim(r.fs.Lookup(name).Value.String(), "[]")
		}
	}
	args, env := slices.Clone(r.args), r.env
	vm, booted := where.(*target.VM)
	switch {
	case booted && len(args) == 0:
		return plan, errNoCommand
	case booted:
		files, err := r.guestFiles(args, vm)
		if err != nil {
			return plan, err
		}
		plan.Files = files.Content
		params["guest-bytes"] = strconv.FormatInt(files.Bytes, 10)
		if r.workload.Init {
			params["init"] = "true"
		}
		if r.tree != nil {
			params["root-bytes"] = strconv.FormatInt(r.tree.Bytes()+systemBytes, 10)
		}
		env = append([]string{"PATH=" + rootfs.Path}, env...)
	case len(r.files) > 0:
		return plan, errors.New("--file is for a VM: the local target has this machine's files")
	case len(args) > 0 && !r.all:
		params["own"] = "true"
	}
	for name, list := range map[string][]string{"args": args, "env": env} {
		if len(list) > 0 {
			params[name] = command.EncodeList(list)
		}
	}
	plan.Params = maps.Clone(params)
	return plan, nil
}

// systemBytes is what a system of services may take beside the files of its root.
const systemBytes = 256 << 20

// guestFiles makes a VM fit for the command, whose path in the guest it puts into
// args, and returns the files that it needs there.
func (r *Record) guestFiles(args []string, vm *target.VM) (files *program.Files, err error) {
	vm.Machine.Root, vm.Machine.Successor = r.tree, r.workload.Init
	if r.tree != nil {
		files = program.None()
		args[0], err = r.tree.LookPath(args[0])
	} else if args[0], files, err = program.Find(r.args[0]); err != nil {
		err = command.Explain(r.args[0], err)
	}
	for _, k := range vm.Images {
		if err == nil && files.Arch != "" && files.Arch != k.Arch {
			err = fmt.Errorf("run %s: it is for %s, and the kernel %s for %s (give --arch %s, or a program that is)", args[0], files.Arch, k.Release, k.Arch, files.Arch)
		}
	}
	for _, spec := range r.files {
		if err == nil {
			err = files.AddFile(spec)
		}
	}
	return files, err
}

var errNoCommand = errors.New("a VM runs nothing by itself: say what to record (mapprof record --kernel 6.12 -- ./agent)")

// Exit is the code of the run's last command that didn't succeed, 0 where all did.
func Exit(run *results.Run) int {
	code := 0
	for _, s := range run.Scenarios {
		for _, t := range s.Trials {
			if t.Command != nil && t.Command.ExitCode != 0 {
				code = t.Command.ExitCode
			}
		}
	}
	return code
}
