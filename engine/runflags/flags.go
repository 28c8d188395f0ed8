// SPDX-License-Identifier: Apache-2.0

//go:build linux

package runflags

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/engine/targetflags"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

// Flags are those that run and record have in common, where they run among them.
type Flags struct {
	targetflags.Flags
	Trials  int
	Seed    uint64
	Jobs    int
	Out     string // the run directory
	Format  string
	Verbose bool // print all figures
	Options trial.Options

	ring flagvalue.Size
}

var formats = []string{"table", "json"}

// AddRun registers the flags that say how often and where to, the directory's default
// name ending with what.
func (f *Flags) AddRun(fs *pflag.FlagSet, what string) {
	f.Options = trial.DefaultOptions()
	f.ring = flagvalue.Size(f.Options.RingBytes)
	fs.IntVar(&f.Trials, "trials", 1, "repetitions; on a VM each is a boot")
	fs.Uint64Var(&f.Seed, "seed", 1, "on the deterministic clock, when each trial begins between the kernel's ticks: equal seeds give equal runs")
	fs.IntVar(&f.Jobs, "jobs", 1, "VMs at once, on the deterministic clock: the figures are the same, sooner")
	fs.StringVarP(&f.Out, "out", "o", "", "run directory to create (default mapprof-runs/TIME-"+what+")")
	fs.StringVar(&f.Format, "format", "table", "what to print: table or json")
	flagvalue.SetKnown(fs, "format", formats...)
	fs.BoolVarP(&f.Verbose, "verbose", "v", false, "print all figures of a run that has many, and how each was measured")
	fs.BoolVar(&f.Options.NoDeaths, "no-deaths", false, "don't keep every single death, only the statistics")
	flagvalue.SetGroup(fs, flagvalue.HowMuch, "trials", "seed", "jobs")
	flagvalue.SetGroup(fs, flagvalue.Output, "out", "format", "verbose", "no-deaths")
}

// AddTracer registers the flags of where it runs, and of the tracer's tables.
func (f *Flags) AddTracer(fs *pflag.FlagSet, defaultKernel string) {
	f.Add(fs, defaultKernel)
	fs.Var(&f.ring, "ring-size", "ring buffer of the probes, a power of two")
	fs.Uint32Var(&f.Options.InFlight, "in-flight", f.Options.InFlight, "how many deaths may be pending at once")
	fs.DurationVar(&f.Options.DrainTimeout, "drain-timeout", f.Options.DrainTimeout, "how long to wait at the end for pending deaths")
	flagvalue.SetGroup(fs, flagvalue.HowMuch, "ring-size", "in-flight", "drain-timeout")
}

// CheckTracer says what is wrong with the flags that Check doesn't look at, and
// completes them: the directory's name ends with what.
func (f *Flags) CheckTracer(what string) error {
	switch {
	case f.Trials < 1 || f.Trials > 10000:
		return errors.New("--trials must be from 1 to 10000")
	case f.Jobs < 1 || f.Jobs > 256:
		return errors.New("--jobs must be from 1 to 256")
	case f.Jobs > 1 && !results.Deterministic(f.Machine.Clock):
		return errors.New("--jobs needs --clock icount: by the wall clock VMs would slow each other down")
	case f.ring < 4096 || f.ring > 1<<30 || f.ring&(f.ring-1) != 0:
		return fmt.Errorf("--ring-size %s is not a power of two from 4KiB to 1GiB", &f.ring)
	case f.Options.InFlight == 0 || f.Options.InFlight > 1<<24:
		return errors.New("--in-flight must be from 1 to 16777216")
	case f.Options.DrainTimeout < 0:
		return errors.New("--drain-timeout must not be negative")
	}
	f.Options.RingBytes = uint32(f.ring)
	if err := flagvalue.OneOf("format", f.Format, formats...); err != nil {
		return err
	}
	if f.Out == "" {
		f.Out = filepath.Join("mapprof-runs", time.Now().Format("20060102-150405")+"-"+what)
	}
	return nil
}

// plan is what all plans have of the flags.
func (f *Flags) plan(where target.Target, workload string) engine.Plan {
	return engine.Plan{Target: where, Workload: workload, Trials: f.Trials, Jobs: f.Jobs, Seed: f.Seed, Options: f.Options, Timeout: f.Machine.Timeout}
}
