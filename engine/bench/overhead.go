// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/mapprof/mapprof/results"
)

// RunOverhead is the wall time of one mapprof run, less its measured part.
func RunOverhead(ctx context.Context, kernel, accel string) (time.Duration, error) {
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
