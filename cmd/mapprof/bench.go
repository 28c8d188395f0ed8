// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/target"
)

// newBenchCmd makes the command that measures mapprof itself, for its
// developers.
func newBenchCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "bench", Hidden: true, Short: "Measure mapprof itself", Args: cobra.NoArgs}
	cmd.AddCommand(newOverheadCmd(), newProbeCostCmd(), newBenchHoldCmd(), newBenchWatchingCmd(), newBenchMatrixCmd())
	return cmd
}

type probeCostFlags struct {
	kernel, bpftrace, out, guest string
	offline                      bool
	timeout                      time.Duration
}

func newProbeCostCmd() *cobra.Command {
	var f probeCostFlags
	cmd := &cobra.Command{
		Use:   "probe-cost",
		Short: "Measure what probes on a lookup cost, in instructions",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if target.InGuestJob() {
				return runProbeCosts(f.guest)
			}
			return probeCostHost(cmd, &f)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&f.kernel, "kernel", defaultKernel, "kernel to measure on")
	fs.StringVar(&f.bpftrace, "bpftrace", "bpftrace", "bpftrace to compare with; empty: none")
	fs.StringVar(&f.out, "out", "", "also write the table, as Markdown, to this file")
	fs.BoolVar(&f.offline, "offline", false, "never use the network: only cached kernels")
	fs.DurationVar(&f.timeout, "timeout", 15*time.Minute, "limit on the VM's life")
	fs.StringVar(&f.guest, "guest-bpftrace", "", "")
	_ = fs.MarkHidden("guest-bpftrace")
	return cmd
}

func probeCostHost(cmd *cobra.Command, f *probeCostFlags) error {
	ctx, stop := withSignals(cmd.Context())
	defer stop()
	k, err := target.ResolveKernel(ctx, f.kernel, target.KernelOptions{Offline: f.offline})
	if err != nil {
		return err
	}
	job := target.Job{Args: []string{"bench", "probe-cost"}, Files: map[string][]byte{}}
	if f.bpftrace != "" {
		path, err := gatherProgram(ctx, f.bpftrace, job.Files)
		if err != nil {
			return err
		}
		job.Args = append(job.Args, "--guest-bpftrace", path)
	}
	var costs []probeCost
	var decodeErr error
	job.Event = func(kind string, payload []byte) {
		if kind == eventCosts {
			decodeErr = json.Unmarshal(payload, &costs)
			for i := range costs {
				costs[i].Attached = analyze.SafeName(costs[i].Attached)
			}
		}
	}
	// The initramfs with bpftrace and its libraries is 250 MB, and it needs
	// half a gigabyte to compile.
	vm := target.VM{Kernel: k, Clock: target.ClockICount, MemoryBytes: 3 << 30, Timeout: f.timeout}
	out, err := vm.Run(ctx, job)
	switch {
	case err != nil:
		return err
	case out.ExitCode != 0:
		return fmt.Errorf("the guest's mapprof failed: %s", strings.TrimPrefix(out.Message, "mapprof: "))
	case decodeErr != nil || len(costs) == 0:
		return fmt.Errorf("the guest sent no costs: %w", decodeErr)
	}
	text := probeCostTable(costs, out, k)
	if _, err := io.WriteString(cmd.OutOrStdout(), text); err != nil {
		return err
	}
	if f.out == "" {
		return nil
	}
	return writeWhole(f.out, "# What mapprof's own probes cost\n\n"+text)
}

// probeCostTable writes the costs as Markdown, with the command that measures
// them again.
func probeCostTable(costs []probeCost, out target.Outcome, k target.Kernel) string {
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
	fmt.Fprintf(&b, "\nMeasured by:\n\n```console\n$ mapprof bench probe-cost --kernel %s\n```\n", k.Requested)
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

// writeWhole replaces a file, or leaves it as it is.
func writeWhole(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}
