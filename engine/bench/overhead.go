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
	"github.com/spf13/pflag"
)

// runOverhead is the wall time of one mapprof run, less its measured part.
func runOverhead(ctx context.Context, kernel, accel string) (time.Duration, error) {
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
	begin := time.Now()
	out, err := exec.CommandContext(ctx, self, "run", "--kernel", kernel, "--accel", accel, "--count", "100", "-o", dir).CombinedOutput()
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

// Run implements Benchmark.
func (o *overhead) Run(ctx context.Context, on Machines) (string, error) {
	var text strings.Builder
	var wrong []error
	for _, kernel := range on.Kernels {
		took := make([]time.Duration, 0, o.runs)
		for range o.runs {
			d, err := runOverhead(ctx, kernel, on.Machine.Accel)
			if err != nil {
				return text.String(), err
			}
			took = append(took, d)
		}
		slices.Sort(took)
		middle := time.Duration(median.Of(took))
		fmt.Fprintf(&text, "mapprof run less its workload, %s, %s, %d runs: min %.1f s, median %.1f s, max %.1f s (limit %.0f s)\n",
			kernel, on.Machine.Accel, o.runs, took[0].Seconds(), middle.Seconds(), took[len(took)-1].Seconds(), o.limit.Seconds())
		if middle > o.limit {
			wrong = append(wrong, fmt.Errorf("%s: the median is over the limit of %v", kernel, o.limit))
		}
	}
	return text.String() + "\n", errors.Join(wrong...)
}
