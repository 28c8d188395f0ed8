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
	"github.com/spf13/pflag"
)

// way is how a run comes to its workload, and flags is that in words of mapprof run.
type way struct {
	flags       []string
	clock, boot string
}

// ways are all. The ratio of those that begin from a snapshot has a limit.
var ways = []way{
	{[]string{"--clock", "wall", "--boot", "fresh"}, target.ClockWall, target.BootFresh},
	{[]string{"--clock", "wall", "--boot", "snapshot"}, target.ClockWall, target.BootSnapshot},
	{[]string{"--clock", "icount"}, target.ClockICount, target.BootSnapshot},
}

// runOverhead is the wall time of one mapprof run, less its measured part.
func runOverhead(ctx context.Context, on *Machines, kernel string, w way) (time.Duration, error) {
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
	args := append([]string{"run", "--kernel", kernel, "--count", "100", "-o", dir}, w.flags...)
	if w.clock == target.ClockWall {
		args = append(args, "--accel", on.Machine.Accel)
	}
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
	ratio float64
}

// AddFlags implements Benchmark.
func (o *overhead) AddFlags(fs *pflag.FlagSet) {
	fs.IntVar(&o.runs, "runs", 5, "how often")
	fs.DurationVar(&o.limit, "limit", 10*time.Second, "fail if the median of booted runs is over this")
	fs.Float64Var(&o.ratio, "ratio", 1.15, "fail if a run from a snapshot takes more than this times a boot")
}

// Check implements Benchmark.
func (o *overhead) Check() error {
	if o.runs < 1 {
		return errors.New("--runs must be at least 1")
	}
	return nil
}

// bareBoot is the wall time of a boot of the same image, with the same mapprof as its
// init, which has no job and powers it off.
func bareBoot(ctx context.Context, t *target.VM, w way) (time.Duration, error) {
	m := t.Machine
	m.Kernel, m.Clock, m.Program = t.Images[0], w.clock, t.Programs[t.Images[0].Arch]
	if w.clock == target.ClockICount {
		m.Accel = ""
	}
	begin := time.Now()
	_, err := m.Run(ctx, target.GuestJob{})
	return time.Since(begin), err
}

// seconds are the median of times, and in brackets the least and the most.
func seconds(times []time.Duration) string {
	return fmt.Sprintf("%.1f s (%.1f–%.1f)", time.Duration(median.Of(times)).Seconds(), slices.Min(times).Seconds(), slices.Max(times).Seconds())
}

// Run implements Benchmark.
func (o *overhead) Run(ctx context.Context, on Machines) (string, error) {
	var text strings.Builder
	var wrong []error
	err := on.each(ctx, func(t *target.VM, kernel string) error {
		fmt.Fprintf(&text, "`mapprof run` less its workload, and the same image's boot to power-off, %s, %s: median of %d of each, in turns.\n\n", kernel, on.Machine.Accel, o.runs)
		fmt.Fprintln(&text, "| run | takes | boot | ratio |\n|---|---:|---:|---:|")
		for _, w := range ways {
			if w.boot == target.BootSnapshot && on.Machine.Accel == "kvm" {
				continue
			}
			var runs, boots []time.Duration
			for i := range o.runs + 1 { // in turns: a machine that slows down slows both
				run, err := runOverhead(ctx, &on, kernel, w)
				if err != nil {
					return err
				}
				boot, err := bareBoot(ctx, t, w)
				if err != nil {
					return err
				}
				fmt.Fprintf(on.Stderr, "%s, %d of %d: %.1f s, a boot %.1f s\n", strings.Join(w.flags, " "), i, o.runs, run.Seconds(), boot.Seconds())
				if i > 0 { // the first one reads files, and may make the snapshot
					runs, boots = append(runs, run), append(boots, boot)
				}
			}
			ratio := median.Of(runs) / median.Of(boots)
			fmt.Fprintf(&text, "| %s | %s | %s | %.2f |\n", strings.Join(w.flags, " "), seconds(runs), seconds(boots), ratio)
			switch {
			case w.boot == target.BootFresh && time.Duration(median.Of(runs)) > o.limit:
				wrong = append(wrong, fmt.Errorf("%s: the median is over the limit of %v", kernel, o.limit))
			case w.boot == target.BootSnapshot && ratio > o.ratio:
				wrong = append(wrong, fmt.Errorf("%s %s: %.2f times a boot is over the limit of %.2f", kernel, strings.Join(w.flags, " "), ratio, o.ratio))
			}
		}
		steps, err := stepTable(ctx, &on, t, kernel)
		if err != nil {
			return err
		}
		text.WriteString(steps)
		return nil
	})
	return text.String() + "\n", errors.Join(append(wrong, err)...)
}
