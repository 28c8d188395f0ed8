// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/target"
)

// ProbeCosts measures what probes on a lookup cost, on a kernel of the target,
// whose clock must be the deterministic one. bpftrace names a program to compare
// with; empty: none. It needs about 3 GiB of memory: with its libraries it is
// 250 MB, and it needs half a gigabyte to compile.
func ProbeCosts(ctx context.Context, t target.Target, kernel int, bpftrace string) ([]ProbeCost, target.Done, error) {
	w := target.Work{Task: taskProbeCost, Files: map[string][]byte{}}
	var config probeCostConfig
	if bpftrace != "" {
		var err error
		if config.Bpftrace, err = gatherProgram(ctx, bpftrace, w.Files); err != nil {
			return nil, target.Done{}, err
		}
	}
	w.Request = config
	costs, done, err := target.Call[[]ProbeCost](ctx, t, kernel, w)
	if err == nil && len(costs) == 0 {
		err = errors.New("the guest sent no costs")
	}
	for i := range costs {
		costs[i].Attached = safetext.Name(costs[i].Attached)
	}
	return costs, done, err
}

// ProbeCostTable writes the costs as Markdown, with the command that measures
// them again.
func ProbeCostTable(costs []ProbeCost, out target.Outcome, kernel string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Instructions per `BPF_MAP_LOOKUP_ELEM` of an array, from Go, with probes on `%s`: median and p99 of n calls, all in one boot of %s (QEMU %s, TCG, `-icount`, 1 CPU).\n\n",
		benchFunction, out.Release, out.QEMU)
	b.WriteString("| attached | n | instructions | p99 | added |\n|---|---:|---:|---:|---:|\n")
	base := costs[0].Median
	for _, c := range costs {
		added := ""
		if !strings.HasPrefix(c.Attached, benchNothing) {
			added = fmt.Sprint(c.Median - base)
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %s |\n", c.Attached, c.N, c.Median, c.P99, added)
	}
	fmt.Fprintf(&b, "\nMeasured by:\n\n```console\n$ mapprof bench probe-cost --kernel %s\n```\n", kernel)
	return b.String()
}

// gatherProgram puts a dynamic program and its shared libraries into files,
// under the names by which it will look for them, and returns its path.
func gatherProgram(ctx context.Context, name string, files map[string][]byte) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("find %s: %w (apt-get install bpftrace, or --bpftrace '' to leave it out)", name, err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "ldd", path).Output()
	if err != nil {
		return "", fmt.Errorf("list the libraries of %s: %w", path, err)
	}
	wanted := []string{path}
	// "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)", "/lib64/ld-… (0x…)"
	for line := range strings.Lines(string(out)) {
		for _, word := range strings.Fields(line) {
			if filepath.IsAbs(word) {
				wanted = append(wanted, word)
			}
		}
		if strings.Contains(line, "not found") {
			return "", fmt.Errorf("list the libraries of %s: %s", path, strings.TrimSpace(line))
		}
	}
	for _, w := range wanted {
		if files[w], err = os.ReadFile(w); err != nil {
			return "", fmt.Errorf("read library of %s: %w", path, err)
		}
	}
	return path, nil
}
