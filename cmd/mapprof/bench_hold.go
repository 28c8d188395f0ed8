// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/workloads"
)

// holdConfig says what the guest of mapprof bench hold measures.
type holdConfig struct {
	Count int
	// Lengths of the holds by the kind of the reader.
	Lengths map[string][]time.Duration
}

// holdRow compares a hold with what the probes measured meanwhile.
type holdRow struct {
	Strategy string // that churn was asked for
	Reader   string // kind of the held reader; empty: none
	Length   time.Duration
	Phase    string
	N        int
	Held     [3]int64 // by the reader's own clock: min, median, max
	Measured [3]int64
	// Excess is Measured less Held, death by death; with no hold that could
	// lengthen the phase it is Measured itself.
	Excess [3]int64
	Short  int // deaths with less than the hold
}

// holdSettle lets a death end before the next hold begins: several grace
// periods without a hold.
var holdSettle = map[string]time.Duration{
	workloads.StrategyRCU: 150 * time.Millisecond, workloads.StrategyTasksTrace: 700 * time.Millisecond,
}

// holdPhases are where a hold of a kind must be found.
var holdPhases = map[string]string{
	workloads.StrategyRCU: results.PhaseRCUGP, workloads.StrategyTasksTrace: results.PhaseTasksTraceGP,
}

// measureHolds runs in the guest: no hold, each length, and each reader where
// it must not show.
func measureHolds(c holdConfig, say progressSink) ([]holdRow, error) {
	var rows []holdRow
	add := func(strategy, reader string, length time.Duration) error {
		say(fmt.Sprintf("strategy %s, reader %q held %v", strategy, reader, length))
		more, err := measureHold(c.Count, strategy, reader, length)
		rows = append(rows, more...)
		return err
	}
	for _, kind := range []string{workloads.StrategyRCU, workloads.StrategyTasksTrace} {
		if err := add(kind, "", 0); err != nil {
			return nil, err
		}
		for _, length := range c.Lengths[kind] {
			if err := add(kind, kind, length); err != nil {
				return nil, err
			}
		}
	}
	// An RCU grace period doesn't wait for a tasks-trace reader.
	longest := slices.Max(c.Lengths[workloads.StrategyTasksTrace])
	return rows, add(workloads.StrategyRCU, workloads.StrategyTasksTrace, longest)
}

func measureHold(count int, strategy, reader string, length time.Duration) ([]holdRow, error) {
	// What the trial before has left to clean up (programs, trampolines) would
	// keep RCU busy during the first deaths.
	time.Sleep(2 * time.Second)
	settle := holdSettle[strategy]
	if reader != "" {
		settle = max(settle, holdSettle[reader])
	}
	args := []string{
		fmt.Sprintf("--count=%d", count),
		fmt.Sprintf("--rate=%f", 1/(length+settle).Seconds()),
	}
	if reader != "" {
		args = append(args, fmt.Sprintf("--hold-reader=%s=%v", reader, length))
	}
	t, err := measureJob(context.Background(), &job{Workload: "churn", Strategy: strategy, DrainTimeout: 30 * time.Second, Args: args})
	if err != nil {
		return nil, err
	}
	if n := len(t.outcome.Deaths); n != count || t.outcome.Puts != uint64(count) || len(t.outcome.UpdateWaitNS) != count {
		return nil, fmt.Errorf("%d operations: %d deaths of %d, %d update waits", count, n, t.outcome.Puts, len(t.outcome.UpdateWaitNS))
	}
	held := make([]int64, 0, count)
	for _, v := range t.result.Metrics[workloads.MetricHold].Values {
		held = append(held, int64(v))
	}
	deaths := slices.SortedFunc(slices.Values(t.outcome.Deaths), func(a, b results.Death) int { return cmp.Compare(a.PutNS, b.PutNS) })
	phase := holdPhases[strategy]
	measured := make([]int64, count)
	for i, d := range deaths {
		ns, ok := d.PhaseNS()[phase]
		if !ok {
			return nil, fmt.Errorf("strategy %s: a death by way of %s has no %s", strategy, d.Path, phase)
		}
		measured[i] = ns
	}
	row := holdRow{Strategy: strategy, Reader: reader, Length: length}
	rows := []holdRow{row.of(phase, held, measured, reader == strategy)}
	if strategy == workloads.StrategyRCU {
		rows = append(rows, row.of(results.PhaseUpdateWait, held, t.outcome.UpdateWaitNS, reader == strategy))
	}
	return rows, nil
}

// of fills in what was measured in one phase; hit says whether the hold must
// lengthen it.
func (r holdRow) of(phase string, held, measured []int64, hit bool) holdRow {
	r.Phase, r.N = phase, len(measured)
	excess := slices.Clone(measured)
	for i := range held {
		if hit {
			excess[i] -= held[i]
		}
		if hit && measured[i] < r.Length.Nanoseconds() {
			r.Short++
		}
	}
	if len(held) > 0 {
		r.Held = spread(held)
	}
	r.Measured, r.Excess = spread(measured), spread(excess)
	return r
}

// spread is the minimum, the median and the maximum.
func spread(v []int64) [3]int64 {
	s := slices.Sorted(slices.Values(v))
	return [3]int64{s[0], s[len(s)/2], s[len(s)-1]}
}

// checkHolds says what of the calibration does not hold.
func checkHolds(rows []holdRow) error {
	var errs []error
	base := map[string]holdRow{}
	for _, r := range rows {
		at := r.Strategy + " " + r.Phase
		if r.Reader == "" {
			base[at] = r
			continue
		}
		name := fmt.Sprintf("strategy %s, %s reader held for %v, %s", r.Strategy, r.Reader, r.Length, r.Phase)
		if r.Reader != r.Strategy {
			if r.Measured[1] >= r.Length.Nanoseconds() {
				errs = append(errs, fmt.Errorf("%s: a median of %v, though the reader is not one that counts", name, time.Duration(r.Measured[1])))
			}
			continue
		}
		if r.Short > 0 || r.Excess[0] < 0 {
			errs = append(errs, fmt.Errorf("%s: %d of %d are shorter than the hold (excess from %v)", name, r.Short, r.N, time.Duration(r.Excess[0])))
		}
		polling := r.polling()
		if beyond := r.beyond(base[at]); beyond > polling.Nanoseconds() {
			errs = append(errs, fmt.Errorf("%s: a median excess of %v is %v beyond what the phase takes without a hold, %v to %v, and the kernel's polling explains %v",
				name, time.Duration(r.Excess[1]), time.Duration(beyond), time.Duration(base[at].Measured[0]), time.Duration(base[at].Measured[2]), polling))
		}
	}
	return errors.Join(errs...)
}

// jiffy is the kernel's tick in the kernels that are calibrated: HZ=250.
const jiffy = 4 * time.Millisecond

// polling is by how much an excess may go beyond the spread without a hold: a
// grace period that has to wait for a reader learns of its end late, a delay
// that one without a reader never has. The table shows it in any case.
//
// RCU learns it at a tick, and an expedited grace period then wakes a worker,
// which may be another tick. SRCU, on which tasks-trace is built since 7.0,
// looks again after a jiffy and as long as the grace period has lasted, up to
// 10 jiffies (srcu_get_delay(), SRCU_MAX_INTERVAL).
func (r holdRow) polling() time.Duration {
	if r.Strategy == workloads.StrategyTasksTrace {
		return min(jiffy+r.Length, 10*jiffy)
	}
	return 2 * jiffy
}

// beyond is by how much the median excess is over the maximum of the run
// without a hold; 0: within its spread. Maxima alone would differ one way or
// the other between two equal samples.
func (r holdRow) beyond(base holdRow) int64 {
	return max(0, r.Excess[1]-base.Measured[2])
}

func newBenchHoldCmd() *cobra.Command {
	var vm benchVM
	var out string
	config := holdConfig{Count: 20}
	cmd := &cobra.Command{
		Use:   "hold",
		Short: "Hold readers for known times and compare with what is measured",
		Args:  cobra.NoArgs,
	}
	fs := cmd.Flags()
	vm.add(fs, "6.12", "7.2")
	fs.IntVar(&config.Count, "count", config.Count, "deaths for each length")
	rcu := fs.DurationSlice("rcu", []time.Duration{5 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond}, "holds of the RCU reader")
	tasksTrace := fs.DurationSlice("tasks-trace", []time.Duration{50 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond}, "holds of the tasks-trace reader")
	fs.StringVar(&out, "out", "", "also write the table, as Markdown, to this file")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if target.InGuestJob() {
			return inBenchGuest(measureHolds)
		}
		ctx, stop := withSignals(cmd.Context())
		defer stop()
		config.Lengths = map[string][]time.Duration{workloads.StrategyRCU: *rcu, workloads.StrategyTasksTrace: *tasksTrace}
		var text strings.Builder
		var errs []error
		for _, kernel := range vm.kernels {
			var rows []holdRow
			o, err := vm.run(ctx, progressTo(cmd), kernel, "hold", config, &rows)
			if err != nil {
				return fmt.Errorf("%s: %w", kernel, err)
			}
			writeHolds(&text, o, rows)
			if err := checkHolds(rows); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", kernel, err))
			}
		}
		text.WriteString(measuredBy(cmd))
		return errors.Join(printBench(cmd, out, text.String()), errors.Join(errs...))
	}
	return cmd
}

// measuredBy is the command that measures again, with the flags that were
// given.
func measuredBy(cmd *cobra.Command, args ...string) string {
	words := []string{cmd.CommandPath()}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if slice, ok := f.Value.(pflag.SliceValue); ok {
			values = slice.GetSlice()
			if f.Value.Type() != "stringArray" {
				values = []string{strings.Join(values, ",")}
			}
		}
		for _, v := range values {
			if f.Name != "out" {
				words = append(words, "--"+f.Name+"="+v)
			}
		}
	})
	return fmt.Sprintf("Measured by:\n\n```console\n$ %s\n```\n", strings.Join(append(words, args...), " "))
}

// printBench prints a table and may keep it.
func printBench(cmd *cobra.Command, path, text string) error {
	fmt.Fprint(cmd.OutOrStdout(), text)
	if path == "" {
		return nil
	}
	return writeWhole(path, text)
}

func writeHolds(w *strings.Builder, o target.Outcome, rows []holdRow) {
	fmt.Fprintf(w, "%s, %d CPUs, QEMU %s, %s; times in ms, `min / median / max`:\n\n", o.Release, o.CPUs, o.QEMU, strings.ToUpper(o.Accel))
	w.WriteString("| strategy | reader held | deaths | phase | held, by the reader | measured | excess | shorter than the hold | excess within the spread without one |\n|---|---|---:|---|---|---|---|---:|---|\n")
	base := map[string]holdRow{}
	for _, r := range rows {
		at := r.Strategy + " " + r.Phase
		if r.Reader == "" {
			base[at] = r
		}
		reader, held, excess, short, within := "–", "–", "–", "–", "–"
		if r.Reader != "" {
			reader, held, short = fmt.Sprintf("%s, %v", r.Reader, r.Length), msSpread(r.Held), "is not waited for"
		}
		if r.Reader == r.Strategy {
			excess, short, within = msSpread(r.Excess), fmt.Sprint(r.Short), "yes"
			if beyond := r.beyond(base[at]); beyond > 0 {
				within = fmt.Sprintf("no: median %.1f beyond, of %.0f that polling explains", float64(beyond)/1e6, r.polling().Seconds()*1e3)
			}
		}
		fmt.Fprintf(w, "| %s | %s | %d | %s | %s | %s | %s | %s | %s |\n", r.Strategy, reader, r.N, r.Phase, held, msSpread(r.Measured), excess, short, within)
	}
	w.WriteString("\n")
}

func msSpread(v [3]int64) string {
	ms := func(ns int64) string { return fmt.Sprintf("%.1f", float64(ns)/1e6) }
	return ms(v[0]) + " / " + ms(v[1]) + " / " + ms(v[2])
}
