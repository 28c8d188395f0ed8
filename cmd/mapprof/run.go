// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
	xterm "golang.org/x/term"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/report/term"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/workloads"
)

// runFlags are the flags of mapprof run, without the workload's.
type runFlags struct {
	targetFlags
	workload   string
	strategies []string
	trials     int
	seed       uint64
	out        string
	format     string
	noDeaths   bool
	stacks     bool
	noProbes   bool
	ring       byteSize
	inFlight   uint32
	drain      time.Duration
	need       uint64 // bytes of memory that the workload takes; 0: little
}

// newRunCmd makes mapprof run. The workload's own flags depend on --workload,
// so that is looked for in the arguments beforehand.
func newRunCmd(args []string) *cobra.Command {
	var flags runFlags
	flags.ring = 4 << 20
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a workload on one or more kernels and profile it",
		Args:  cobra.NoArgs,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&flags.workload, "workload", "churn", "what drives the kernel: "+strings.Join(workloadNames(), "|")+"; see its flags with --workload NAME --help")
	fs.StringSliceVar(&flags.strategies, "strategy", nil, "grace-period strategies, compared side by side: immediate,rcu,tasks-trace,sync")
	fs.IntVar(&flags.trials, "trials", 1, "repetitions; on a VM each is a boot")
	fs.Uint64Var(&flags.seed, "seed", 1, "on the deterministic clock, when each trial begins between the kernel's ticks: equal seeds give equal runs")
	fs.StringVarP(&flags.out, "out", "o", "", "run directory to create (default mapprof-runs/TIME-WORKLOAD)")
	fs.StringVar(&flags.format, "format", "table", "what to print: table or json")
	fs.BoolVar(&flags.noDeaths, "no-deaths", false, "don't keep every single death, only the statistics")
	fs.BoolVar(&flags.noProbes, "no-probes", false, "attach no probes: only time operations, from user space, to see what watching costs")
	fs.BoolVar(&flags.stacks, "stacks", false, "keep the callers' stacks of lookups (each costs more than the lookup)")
	flags.add(fs)
	fs.Var(&flags.ring, "ring-size", "ring buffer of the probes, a power of two")
	fs.Uint32Var(&flags.inFlight, "in-flight", 65536, "how many deaths may be pending at once")
	fs.DurationVar(&flags.drain, "drain-timeout", 30*time.Second, "how long to wait at the end for pending deaths")

	own := pflag.NewFlagSet("workload", pflag.ContinueOnError)
	desc, lookupErr := workloads.Find(workloadArg(args))
	var w workloads.Workload
	cmd.Long = runHelp
	if lookupErr == nil {
		w = desc.New()
		w.AddFlags(own)
		fs.AddFlagSet(own)
		cmd.Long += fmt.Sprintf("\n\nWorkload %s %s. Its flags are: %s.", desc.Name, desc.Summary, flagNames(own))
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if lookupErr != nil {
			return &usageError{lookupErr}
		}
		if err := flags.check(w); err != nil {
			return err
		}
		return runRun(cmd, &flags, setFlags(own))
	}
	return cmd
}

const runHelp = `Run a workload on one or more kernels, watch what becomes of its maps, and
print how long each stage of their freeing took.

  mapprof run --workload churn --strategy rcu,tasks-trace --kernel 6.12
  mapprof run --workload churn --kernel 6.12 --kernel ./bzImage --trials 8

Several strategies, kernels and trials take turns (A B A B). Ctrl-C ends the
run early and keeps what there is, marked as partial; a second one ends it at
once.`

func workloadNames() []string {
	var names []string
	for _, d := range workloads.All() {
		names = append(names, d.Name)
	}
	return names
}

// workloadArg finds --workload in arguments that aren't parsed yet: the last
// one, as pflag will.
func workloadArg(args []string) string {
	name := "churn"
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, "--workload="); ok {
			name = v
		}
		if a == "--workload" && i+1 < len(args) {
			name = args[i+1]
		}
	}
	return name
}

func flagNames(fs *pflag.FlagSet) string {
	var names []string
	fs.VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return strings.Join(names, ", ")
}

// setFlags gives back the flags that were set, as arguments.
func setFlags(fs *pflag.FlagSet) []string {
	args := []string{}
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			args = append(args, "--"+f.Name+"="+f.Value.String())
		}
	})
	return args
}

func (f *runFlags) check(w workloads.Workload) error {
	if err := f.targetFlags.check(); err != nil {
		return err
	}
	if len(f.strategies) == 0 {
		f.strategies = w.Strategies()[:1]
	}
	for i, s := range f.strategies {
		if err := w.Check(s); err != nil {
			return &usageError{err}
		}
		if slices.Contains(f.strategies[:i], s) {
			return &usageError{fmt.Errorf("--strategy names %s twice", s)}
		}
	}
	switch {
	case f.trials < 1 || f.trials > 10000:
		return &usageError{errors.New("--trials must be from 1 to 10000")}
	case f.format != "table" && f.format != "json":
		return &usageError{fmt.Errorf("--format %q is not one of table, json", f.format)}
	case f.ring < 4096 || f.ring > 1<<30 || f.ring&(f.ring-1) != 0:
		return &usageError{fmt.Errorf("--ring-size %s is not a power of two from 4KiB to 1GiB", &f.ring)}
	case f.inFlight == 0 || f.inFlight > 1<<24:
		return &usageError{errors.New("--in-flight must be from 1 to 16777216")}
	case f.drain < 0:
		return &usageError{errors.New("--drain-timeout must not be negative")}
	}
	if sized, ok := w.(workloads.Sized); ok {
		f.need = sized.MemoryBytes(max(2, f.cpus))
	}
	var atLeast time.Duration
	if timed, ok := w.(workloads.Timed); ok {
		atLeast = timed.AtLeast()
	}
	if err := f.checkTimeout(atLeast); err != nil {
		return err
	}
	if f.out == "" {
		f.out = filepath.Join("mapprof-runs", time.Now().Format("20060102-150405")+"-"+f.workload)
	}
	return nil
}

// bootAllowance is what a trial in a VM may take beside what its workload takes
// at least.
const bootAllowance = 10 * time.Minute

// checkTimeout makes room for a workload that takes at least that long, or
// says that there is none where the user has set the limit.
func (f *runFlags) checkTimeout(atLeast time.Duration) error {
	const most = math.MaxInt64 - bootAllowance
	switch {
	case f.timeout == 0:
		f.timeout = min(atLeast, most) + bootAllowance
	case f.timeout < atLeast && f.clock == target.ClockWall:
		return &usageError{fmt.Errorf("--timeout %v ends the VM before the workload, which takes %v at least, can end (leave it out, or give more)", f.timeout, atLeast)}
	}
	return nil
}

// withSignals returns a context that SIGINT and SIGTERM cancel.
func withSignals(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
}

// withInterrupt makes the first signal close stop and the second cancel the
// context.
func withInterrupt(ctx context.Context) (context.Context, <-chan struct{}, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	go func() {
		select {
		case <-signals:
			close(stop)
		case <-ctx.Done():
			return
		}
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, stop, func() { signal.Stop(signals); cancel() }
}

// plan is what the flags ask for.
func (f *runFlags) plan(workloadArgs []string, kernels []target.Kernel, out *results.Writer, stop <-chan struct{}, p engine.Progress) engine.Plan {
	return engine.Plan{
		Workload: f.workload, WorkloadArgs: workloadArgs, Strategies: f.strategies, Trials: f.trials, Seed: f.seed,
		Out: out, Command: append([]string{"mapprof"}, os.Args[1:]...),
		Kernels: kernels, Machine: f.vm(target.Kernel{}),
		NoDeaths: f.noDeaths, NoProbes: f.noProbes, Stacks: f.stacks,
		RingBytes: uint32(f.ring), InFlight: f.inFlight, DrainTimeout: f.drain, Stop: stop, Progress: p,
	}
}

// whileNotStopped returns a context that ends when stop is closed, too.
func whileNotStopped(ctx context.Context, stop <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func runRun(cmd *cobra.Command, flags *runFlags, workloadArgs []string) error {
	ctx, stop, cancel := withInterrupt(cmd.Context())
	defer cancel()
	stderr := cmd.ErrOrStderr()
	// A place that can't be written is found before anything is fetched or boots.
	out, err := results.Create(flags.out)
	if err != nil {
		return err
	}
	defer out.Abort()
	resolveCtx, stopResolve := whileNotStopped(ctx, stop)
	kernels, err := flags.resolve(resolveCtx, stderr)
	stopped := resolveCtx.Err() != nil
	stopResolve()
	if err != nil && stopped {
		return errors.New("interrupted before anything ran")
	}
	if err == nil && len(kernels) > 0 {
		err = flags.checkMemory()
	}
	if err != nil {
		return err
	}
	progress := newProgress(stderr)
	run, failure := engine.Run(ctx, flags.plan(workloadArgs, kernels, out, stop, progress))
	progress.Finish()
	if run != nil {
		return errors.Join(failure, printRun(cmd, flags, run))
	}
	return failure
}

// checkMemory refuses a VM that is too small for the workload, before it boots.
func (f *runFlags) checkMemory() error {
	memory := uint64(f.memory)
	if memory == 0 {
		memory = target.DefaultMemory
	}
	// What a kernel, its initramfs and the tracer have taken when the
	// workload begins, and what a kernel keeps free.
	enough := f.need + f.need/32 + 320<<20
	if f.need == 0 || memory >= enough {
		return nil
	}
	const unit = 256 << 20
	need, have, want := byteSize((f.need+1<<20-1)>>20<<20), byteSize(memory), byteSize((enough+unit-1)/unit*unit)
	return &usageError{fmt.Errorf("--workload %s takes %s of memory with these sizes, and the VM has %s (use --memory %s, or a smaller --size)",
		f.workload, &need, &have, &want)}
}

// terminalWidth is the width of standard output, 0 where it is no terminal.
func terminalWidth(w any) int {
	f, ok := w.(*os.File)
	if !ok || !xterm.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := xterm.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

func tableOptions(w any, dir string) term.Options {
	width := terminalWidth(w)
	return term.Options{Width: width, Color: width > 0 && os.Getenv("NO_COLOR") == "", Dir: dir}
}
