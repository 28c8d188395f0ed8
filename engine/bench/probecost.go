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
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/rootfs"
	"github.com/spf13/pflag"
)

// probeCosts is the benchmark.
type probeCosts struct {
	bpftrace, root string
	tree           *rootfs.Tree // of root; nil: none was given
}

// AddFlags implements Benchmark.
func (p *probeCosts) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&p.bpftrace, "bpftrace", "bpftrace", "bpftrace to compare with; empty: none")
	fs.StringVar(&p.root, "root", "", "boot with this directory as root file system, and take bpftrace from it: one of the kernel's architecture, as mmdebstrap --architectures=arm64 --variant=extract --include=bpftrace,base-files makes it")
}

// Check implements Benchmark.
func (p *probeCosts) Check() (err error) {
	if p.root == "" {
		return nil
	}
	if p.tree, err = rootfs.Open(p.root); err == nil && p.bpftrace != "" {
		_, err = p.tree.LookPath(p.bpftrace)
	}
	return err
}

// Run implements Benchmark.
func (p *probeCosts) Run(ctx context.Context, on Machines) (string, error) {
	var text strings.Builder
	text.WriteString("# What mapprof's own probes cost")
	if on.Arch != "" {
		text.WriteString(" on " + on.Arch)
	}
	text.WriteString("\n")
	err := on.each(ctx, func(t *target.VM, kernel string) error {
		w := target.Work{Task: taskProbeCost, Files: map[string][]byte{}}
		var config probeCostConfig
		if p.bpftrace != "" {
			var err error
			if config.Bpftrace, err = p.findBpftrace(ctx, t, w.Files); err != nil {
				return err
			}
		}
		w.Request = config
		costs, done, err := target.Call[[]probeCost](ctx, t, 0, w)
		if err == nil && len(costs) == 0 {
			err = errors.New("the guest sent no costs")
		}
		if err != nil {
			return err
		}
		for i := range costs {
			costs[i].Attached = safetext.Name(costs[i].Attached)
		}
		text.WriteString("\n" + probeCostTable(costs, done.Outcome))
		return nil
	})
	if err != nil { // a table of some kernels would look like one of all
		return "", err
	}
	return text.String(), nil
}

// findBpftrace returns the path of bpftrace in the guest: it is in the guest's root file
// system, or this machine's is put into files.
func (p *probeCosts) findBpftrace(ctx context.Context, t *target.VM, files map[string][]byte) (string, error) {
	if p.tree == nil {
		return gatherProgram(ctx, p.bpftrace, files)
	}
	t.Machine.Root = p.tree
	return p.tree.LookPath(p.bpftrace)
}

// probeCostTable writes the costs as Markdown.
func probeCostTable(costs []probeCost, out target.Outcome) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Instructions per `BPF_MAP_LOOKUP_ELEM` of an array, from Go, with probes on `%s`: median, p99 and mean of n calls (the mean without those that an interrupt came into), all in one boot of %s (QEMU %s, TCG, `-icount`, 1 CPU).\n\n",
		benchFunction, out.Release, out.QEMU)
	b.WriteString("| attached | n | instructions | p99 | mean | added | added, mean |\n|---|---:|---:|---:|---:|---:|---:|\n")
	base := costs[0]
	for _, c := range costs {
		added, addedMean := "", ""
		if !strings.HasPrefix(c.Attached, benchNothing) {
			added, addedMean = fmt.Sprint(c.Median-base.Median), fmt.Sprintf("%.1f", c.Mean-base.Mean)
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %.1f | %s | %s |\n", c.Attached, c.N, c.Median, c.P99, c.Mean, added, addedMean)
	}
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
