// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mapprof/mapprof/internal/median"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/task"
	"github.com/spf13/pflag"
)

// runOverhead is the wall time of one mapprof run, less its measured part.
func runOverhead(ctx context.Context, on *Machines, kernel string) (time.Duration, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	tmp, err := os.MkdirTemp("", "mapprof-bench-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(tmp)
	dir := filepath.Join(tmp, "run")
	args := []string{"run", "--kernel", kernel, "--accel", on.Machine.Accel, "--count", "100", "-o", dir}
	if on.Arch != "" {
		args = append(args, "--arch", on.Arch)
	}
	if on.Offline {
		args = append(args, "--offline")
	}
	begin := time.Now()
	out, err := exec.CommandContext(ctx, self, args...).CombinedOutput()
	wall := time.Since(begin)
	if err != nil {
		return 0, fmt.Errorf("mapprof run: %w\n%s", err, out)
	}
	d, err := results.Open(dir)
	if err != nil {
		return 0, err
	}
	return wall - time.Duration(d.Run.Scenarios[0].Trials[0].DurationNS), nil
}

// overhead is the benchmark: what a run costs beside its workload (boot, attach,
// drain, results, the end of QEMU), as a whole process.
type overhead struct {
	runs  int
	limit time.Duration
}

// AddFlags implements Benchmark.
func (o *overhead) AddFlags(fs *pflag.FlagSet) {
	fs.IntVar(&o.runs, "runs", 5, "how often")
	fs.DurationVar(&o.limit, "limit", 10*time.Second, "fail if the median is over this")
}

// Check implements Benchmark.
func (o *overhead) Check() error {
	if o.runs < 1 {
		return errors.New("--runs must be at least 1")
	}
	return nil
}

// bareBoot is the wall time of a boot of the same image, with the same mapprof as its
// init, that does nothing and is powered off.
func bareBoot(ctx context.Context, on *Machines, t target.Target, kernel string) (time.Duration, error) {
	begin := time.Now()
	_, _, err := call[task.None](ctx, on, t, kernel, taskNothing, task.None{})
	return time.Since(begin), err
}

func doNothing(context.Context, *task.Env, task.None) (task.None, error) { return task.None{}, nil }

// Run implements Benchmark.
func (o *overhead) Run(ctx context.Context, on Machines) (string, error) {
	var text strings.Builder
	var wrong []error
	err := on.each(ctx, func(t *target.VM, kernel string) error {
		var runs, boots []time.Duration
		for range o.runs { // in turns: a machine that slows down slows both
			run, err := runOverhead(ctx, &on, kernel)
			if err != nil {
				return err
			}
			boot, err := bareBoot(ctx, &on, t, kernel)
			if err != nil {
				return err
			}
			runs, boots = append(runs, run), append(boots, boot)
		}
		middle := median.Of(runs)
		fmt.Fprintf(&text, "mapprof run less its workload, %s, %s, %d runs: min %.1f s, median %.1f s, max %.1f s (limit %.0f s)\n",
			kernel, on.Machine.Accel, o.runs, slices.Min(runs).Seconds(), time.Duration(middle).Seconds(), slices.Max(runs).Seconds(), o.limit.Seconds())
		fmt.Fprintf(&text, "the same image's boot to power-off, in turns with them: min %.1f s, median %.1f s, max %.1f s; ratio %.2f\n",
			slices.Min(boots).Seconds(), time.Duration(median.Of(boots)).Seconds(), slices.Max(boots).Seconds(), middle/median.Of(boots))
		steps, err := stepTable(ctx, &on, t, kernel)
		if err != nil {
			return err
		}
		text.WriteString(steps)
		if time.Duration(middle) > o.limit {
			wrong = append(wrong, fmt.Errorf("%s: the median is over the limit of %v", kernel, o.limit))
		}
		return nil
	})
	return text.String() + "\n", errors.Join(append(wrong, err)...)
}
