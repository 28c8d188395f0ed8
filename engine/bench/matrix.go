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
	"time"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/spf13/pflag"
)

// matrixRow is one kernel with one strategy.
type matrixRow struct {
	kernel, strategy string
	observed         string
	deaths, expected uint64
	limbo            results.Stats
	loss             map[string]uint64
	err              string // empty: pass
}

// matrixOf runs one kernel in a process of its own: whatever happens there,
// the table goes on.
func matrixOf(ctx context.Context, kernel string, count int, offline bool, limit time.Duration) []matrixRow {
	var strategies []string
	fail := func(err error) []matrixRow {
		return []matrixRow{{kernel: kernel, strategy: strings.Join(strategies, ", "), err: err.Error()}}
	}
	churn, _, err := workloads.New("churn", nil)
	if err != nil {
		return fail(err)
	}
	strategies = churn.Strategies()
	self, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	tmp, err := os.MkdirTemp("", "mapprof-matrix-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(tmp)
	dir := filepath.Join(tmp, "run")
	args := []string{"run", "--kernel", kernel, "--strategy", strings.Join(strategies, ","), "--count", fmt.Sprint(count), "-o", dir}
	if offline {
		args = append(args, "--offline")
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, args...)
	// So that it can clean up; what does not end by itself is killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	var stderr strings.Builder
	cmd.Stderr = &stderr
	runErr := cmd.Run()
	d, err := results.Open(dir)
	if err != nil {
		_, said, _ := strings.Cut(stderr.String(), "mapprof: ")
		said, _, _ = strings.Cut(said, "\n")
		return fail(errors.Join(runErr, errors.New(said)))
	}
	rows := make([]matrixRow, 0, len(d.Run.Scenarios))
	for i := range d.Run.Scenarios {
		rows = append(rows, matrixRowOf(d.Run, i))
	}
	if runErr != nil && len(rows) < len(strategies) {
		rows = append(rows, fail(errors.New(d.Run.PartialReason))...)
	}
	return rows
}

func matrixRowOf(run *results.Run, i int) matrixRow {
	s := run.Scenarios[i]
	row := matrixRow{kernel: s.Kernel, strategy: s.Strategy.Requested, observed: pathsOf(s.Strategy.Paths),
		limbo: s.Phases[results.PhaseLimbo], loss: s.Loss}
	for _, t := range s.Trials {
		row.deaths, row.expected = row.deaths+t.Freed, row.expected+t.Expected
	}
	one := *run
	one.Scenarios = run.Scenarios[i : i+1]
	if err := engine.Verify(&one); err != nil {
		row.err = err.Error()
	}
	return row
}

// pathsOf lists the paths that were seen; a strategy of one path is usual.
func pathsOf(paths map[string]uint64) string {
	names := make([]string, 0, len(paths))
	for p := range paths {
		names = append(names, p)
	}
	if len(names) > 1 {
		return results.LossText(paths) // each with its count, sorted
	}
	return strings.Join(names, "")
}

func matrixTable(rows []matrixRow) (text string, failed int) {
	var b strings.Builder
	b.WriteString("| kernel | strategy | | observed path | deaths | median limbo | lost or missed |\n|---|---|---|---|---:|---:|---|\n")
	for _, r := range rows {
		result, limbo := "pass", "–"
		if r.err != "" {
			failed++
			result = "FAIL: " + safetext.Text(strings.ReplaceAll(r.err, "\n", "; "))
		}
		if r.limbo.N > 0 {
			limbo = shortTime(r.limbo.P50NS)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d of %d | %s | %s |\n", safetext.Text(r.kernel), r.strategy, result,
			safetext.Text(r.observed), r.deaths, r.expected, limbo, results.LossText(r.loss))
	}
	return b.String(), failed
}

// matrix is the benchmark.
type matrix struct {
	count int
	limit time.Duration
}

// AddFlags implements Benchmark.
func (m *matrix) AddFlags(fs *pflag.FlagSet) {
	fs.IntVar(&m.count, "count", 60, "deaths of each strategy")
	fs.DurationVar(&m.limit, "limit", 10*time.Minute, "limit on what one kernel may take, all strategies together")
}

// Check implements Benchmark.
func (m *matrix) Check() error { return nil }

// Run implements Benchmark.
func (m *matrix) Run(ctx context.Context, on Machines) (string, error) {
	var rows []matrixRow
	for _, kernel := range on.Kernels {
		if ctx.Err() != nil {
			return "", errors.New("interrupted")
		}
		fmt.Fprintf(on.Stderr, "%s\n", safetext.Text(kernel))
		rows = append(rows, matrixOf(ctx, kernel, m.count, on.Offline, m.limit)...)
	}
	text, failed := matrixTable(rows)
	if failed > 0 {
		return text + "\n", fmt.Errorf("%d of %d failed", failed, len(rows))
	}
	return text + "\n", nil
}
