// SPDX-License-Identifier: Apache-2.0

//go:build linux

package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/live"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads/command"
)

const help = `Watch the maps of this machine's programs die, as top watches processes: how many a
second, how much memory they hold in limbo now, which phase the oldest is stuck in,
and whose they were. Needs CAP_BPF and CAP_PERFMON, which root has, and leaves no file.

  sudo mapprof top                                  on a terminal: full screen, until q
  sudo mapprof top --cgroup kubepods.slice          only the maps of containers
  sudo mapprof top --plain --count 10               ten blocks of lines, then the end
  sudo mapprof top --format json --duration 1m | jq .limbo_bytes

How to read it. A map leaves every list of maps at its last put, and its memory is
held until it has been freed: meanwhile it is in limbo. "in limbo" is what is held
now. "oldest" is the map that is there longest, with the phase that it is in: in
tasks_trace_gp it waits for sleepable programs, in rcu_gp for CPUs, in queue for a
kworker. Below is a line for each outer map, creator and path. Press enter on one: its
phases, the stack of its last put, and the sleepable programs that pin its maps to the
slower path.

Keys: up/down select   enter detail   esc back   s sort   / filter   space pause
      ? help           q quit`

// Show shows a source until it ends, or who looks at it has had enough.
type Show func(ctx context.Context, s live.Source, o live.Options, in io.Reader, out io.Writer) error

// flags are the command's.
type flags struct {
	live.Options
	target, format string
	window         time.Duration
	workload       command.Workload // with the filters
	fs             *pflag.FlagSet
}

// Command returns the command. mistake makes an error the user's.
func Command(show Show, mistake func(error) error) *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "top [flags]",
		Short: "Watch this machine's maps die, live",
		Long:  help,
		Args:  cli.NoArgs("it watches every program: --pid, --comm and --cgroup choose"),
	}
	cmd.Flags().SortFlags = false
	f.add(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := f.check(); err != nil {
			return mistake(err)
		}
		return f.run(cmd, show)
	}
	return cmd
}

// filters are the flags of a recording that choose deaths.
var filters = []string{"map-name", "map-type", "comm", "cgroup", "outer-name", "pid"}

func (f *flags) add(fs *pflag.FlagSet) {
	f.fs = fs
	fs.DurationVar(&f.Interval, "interval", time.Second, "how often to tell")
	fs.IntVar(&f.Count, "count", 0, "end after so many intervals (default: at q or Ctrl-C)")
	fs.DurationVar(&f.Duration, "duration", 0, "end after this long")
	fs.DurationVar(&f.window, "window", 30*time.Second, "phases and limbo times are of the deaths of this long")
	fs.BoolVar(&f.Plain, "plain", false, "lines, on a terminal too: a block for each interval")
	fs.StringVar(&f.format, "format", "text", "text, or json: an object for each interval, one a line")
	flagvalue.SetKnown(fs, "format", "text", "json")
	own := pflag.NewFlagSet(command.Name, pflag.ContinueOnError)
	f.workload.AddFlags(own)
	for _, name := range filters {
		fs.AddFlag(own.Lookup(name))
	}
	fs.StringVar(&f.target, "target", "local", "where: local (this kernel), which is all that there is")
	flagvalue.SetGroup(fs, flagvalue.What, filters...)
	flagvalue.SetGroup(fs, flagvalue.Where, "target")
	flagvalue.SetGroup(fs, flagvalue.HowMuch, "interval", "count", "duration", "window")
	flagvalue.SetGroup(fs, flagvalue.Output, "plain", "format")
}

const shortest = 100 * time.Millisecond

func (f *flags) check() error {
	switch {
	case f.target != "local":
		return fmt.Errorf("--target %q: top watches the machine that it runs on (for a VM: mapprof record)", f.target)
	case f.Interval < shortest:
		return fmt.Errorf("--interval must be %v at least", shortest)
	case f.window < f.Interval:
		return errors.New("--window must be as long as --interval at least")
	case f.Count < 0 || f.Duration < 0:
		return errors.New("--count and --duration must not be negative")
	case f.fs.Changed("count") && f.Count == 0 || f.fs.Changed("duration") && f.Duration == 0:
		return errors.New("--count and --duration must be more than 0 (leave them out for no limit)")
	}
	if err := flagvalue.OneOf("format", f.format, "text", "json"); err != nil {
		return err
	}
	f.JSON = f.format == "json"
	return f.workload.Check(results.StrategyAny)
}

func (f *flags) run(cmd *cobra.Command, show Show) (err error) {
	ctx, stop := cli.WithSignals(cmd.Context())
	defer stop()
	s, err := attach(ctx, f.workload.Wanted(), f.window)
	if errors.Is(err, probes.ErrEnded) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() {
		fmt.Fprintln(cmd.ErrOrStderr(), "detaching: the kernel takes some seconds")
		err = errors.Join(err, s.Close())
	}()
	for _, w := range s.Warnings() {
		fmt.Fprintf(cmd.ErrOrStderr(), "note: %s\n", safetext.Text(w))
	}
	return show(ctx, s, f.Options, cmd.InOrStdin(), cmd.OutOrStdout())
}
