// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/median"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/task"
	"github.com/spf13/pflag"
)

// watchedChurn is one workload that is run with and without probes.
type watchedChurn struct {
	Name     string
	Strategy string
	Params   map[string]string
	Batch    uint64
	Rounds   int
	// Required is the part of its throughput that it must keep under the probes. Of one
	// that waits for no grace period it is held to that on the deterministic clock alone.
	Required float64
	// Recorded: it is a program of its own, under what a recording attaches.
	Recorded bool
	// ByProgram: one more round with probes says where their time goes.
	ByProgram bool
}

// watchedChurns are in the order of the table.
func watchedChurns(rounds int) []watchedChurn {
	return []watchedChurn{
		{Name: "churn, as by default", Strategy: "rcu", Batch: 1, Rounds: rounds, Required: 0.97},
		{Name: "churn, as by default, under record", Strategy: "rcu", Batch: 1, Rounds: rounds, Required: 0.97, Recorded: true},
		{Name: "churn --strategy tasks-trace", Strategy: "tasks-trace", Batch: 1, Rounds: rounds, Required: 0.97},
		{Name: "churn, batches of 32 in a hash", Strategy: "rcu", Batch: 32, Rounds: rounds, Required: 0.95,
			Params: map[string]string{"outer": "hash-of-maps-noprealloc", "slots": "32", "batch": "32", "count": "30"}},
		{Name: "churn --strategy immediate (full rate)", Strategy: "immediate", Batch: 1, Rounds: rounds, Required: 0.80,
			Params: map[string]string{"count": "5000"}},
	}
}

// watchedRound is one run: operations and what became of the maps.
type watchedRound struct {
	Ops, DurationNS   uint64
	MedianNS          int64
	Puts, Freed, Lost uint64 // Lost: those that did not end too
	Programs          []probes.ProgramRuns
}

// watchedResult has the rounds of one workload in the order in which they
// took turns.
type watchedResult struct {
	Without, With []watchedRound
	ByProgram     *watchedRound
}

// measureWatching runs in the guest.
func measureWatching(ctx context.Context, env *task.Env, churns []watchedChurn) ([]watchedResult, error) {
	out := make([]watchedResult, len(churns))
	for i, c := range churns {
		for round := range c.Rounds {
			say(env, fmt.Sprintf("%s: round %d of %d", c.Name, round+1, c.Rounds))
			order := []bool{true, false}
			if round%2 == 1 {
				slices.Reverse(order) // A B B A: neither is always the first
			}
			for _, without := range order {
				var r watchedRound
				var err error
				if c.Recorded {
					r, err = recordedRun(ctx, &c, without)
				} else {
					r, err = watchedRun(ctx, &c, trial.Job{Options: trial.Options{NoProbes: without}})
				}
				if err != nil {
					return nil, fmt.Errorf("%s: %w", c.Name, err)
				}
				if without {
					out[i].Without = append(out[i].Without, r)
				} else {
					out[i].With = append(out[i].With, r)
				}
			}
		}
		if c.ByProgram {
			say(env, c.Name+": by program")
			r, err := watchedRun(ctx, &c, trial.Job{CountRuns: true})
			if err != nil {
				return nil, fmt.Errorf("%s, by program: %w", c.Name, err)
			}
			out[i].ByProgram = &r
		}
	}
	return out, nil
}

// watchedRun does a job, of which the workload is added.
func watchedRun(ctx context.Context, c *watchedChurn, job trial.Job) (watchedRound, error) {
	// What the run before left behind, maps and programs, is freed first.
	time.Sleep(500 * time.Millisecond)
	job.Workload, job.Strategy, job.Params = "churn", c.Strategy, c.Params
	t, err := measure(ctx, &job)
	if err != nil {
		return watchedRound{}, err
	}
	o := t.Outcome
	r := watchedRound{Ops: t.Result.Ops, DurationNS: uint64(t.Duration.Nanoseconds()), MedianNS: t.OpStats().P50NS,
		Puts: o.Puts, Freed: o.Freed, Lost: o.Lost + o.InFlight, Programs: t.Runs}
	if !job.NoProbes && (o.Puts != t.Result.LastPuts || o.Puts != o.Freed+o.Lost+o.InFlight) {
		return r, fmt.Errorf("%d last references dropped, %d puts = %d freed + %d in flight + %d lost does not balance",
			t.Result.LastPuts, o.Puts, o.Freed, o.InFlight, o.Lost)
	}
	return r, nil
}

// rates are a workload's figures over its rounds.
type rates struct {
	PerSecond [2]float64 // maps, without and with probes
	MedianNS  [2]int64   // of an operation: the median of the rounds' medians
	Ratio     float64    // of the throughput
	Error     float64    // of Ratio: its standard error over the rounds
	Puts      uint64
	Lost      uint64
}

func (r watchedResult) rates(batch uint64) rates {
	var out rates
	var relative [2]float64 // squared standard errors
	for i, rounds := range [][]watchedRound{r.Without, r.With} {
		var ops, ns uint64
		var medians []int64
		var perOp []float64
		for _, round := range rounds {
			ops, ns = ops+round.Ops, ns+round.DurationNS
			medians = append(medians, round.MedianNS)
			perOp = append(perOp, float64(round.DurationNS)/float64(round.Ops))
			out.Puts, out.Lost = out.Puts+round.Puts, out.Lost+round.Lost
		}
		out.PerSecond[i] = float64(ops*batch) / float64(ns) * 1e9
		out.MedianNS[i] = int64(median.Of(medians))
		relative[i] = squaredError(perOp)
	}
	out.Ratio = out.PerSecond[1] / out.PerSecond[0]
	out.Error = out.Ratio * math.Sqrt(relative[0]+relative[1])
	return out
}

// squaredError is the square of the mean's relative standard error.
func squaredError(v []float64) float64 {
	if len(v) < 2 {
		return math.NaN()
	}
	var mean, sum float64
	for _, x := range v {
		mean += x / float64(len(v))
	}
	for _, x := range v {
		sum += (x - mean) * (x - mean)
	}
	return sum / float64(len(v)-1) / float64(len(v)) / (mean * mean)
}

// writeWatching writes the table of one kernel and says what is not as it
// must be.
func writeWatching(w *strings.Builder, o target.Outcome, churns []watchedChurn, measured []watchedResult) error {
	var errs []error
	fmt.Fprintf(w, "%s, CPUs: %d, QEMU %s, %s, %s clock; one boot, rounds with probes and without take turns; ± is one standard error over the rounds:\n\n",
		o.Release, o.CPUs, o.QEMU, strings.ToUpper(o.Accel), o.Clock)
	w.WriteString("| workload | maps/s without | with | throughput kept | required | median op without | with | deaths | lost |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for i, c := range churns {
		r := measured[i].rates(c.Batch)
		required := "–"
		if c.Strategy != results.StrategyImmediate || o.Clock == results.ClockICount {
			required = fmt.Sprintf("≥ %.2f", c.Required)
			if r.Ratio < c.Required {
				errs = append(errs, fmt.Errorf("%s: %s keeps %.3f of its throughput, less than %.2f", o.Release, c.Name, r.Ratio, c.Required))
			}
		}
		if r.Lost > 0 {
			errs = append(errs, fmt.Errorf("%s: %s: %d of %d deaths were lost or did not end", o.Release, c.Name, r.Lost, r.Puts))
		}
		kept := fmt.Sprintf("%.3f", r.Ratio)
		if !math.IsNaN(r.Error) { // of one round there is none
			kept += fmt.Sprintf(" ± %.3f", r.Error)
		}
		fmt.Fprintf(w, "| %s | %.0f | %.0f | %s | %s | %s | %s | %d | %d |\n", c.Name, r.PerSecond[0], r.PerSecond[1],
			kept, required, shortTime(r.MedianNS[0]), shortTime(r.MedianNS[1]), r.Puts, r.Lost)
	}
	w.WriteString("\n")
	return errors.Join(errs...)
}

func shortTime(ns int64) string {
	switch {
	case ns >= 1e6:
		return fmt.Sprintf("%.2f ms", float64(ns)/1e6)
	default:
		return fmt.Sprintf("%.1f µs", float64(ns)/1e3)
	}
}

// watching is the benchmark.
type watching struct {
	rounds int
	only   string
	by     bool
	churns []watchedChurn
}

// AddFlags implements Benchmark.
func (w *watching) AddFlags(fs *pflag.FlagSet) {
	fs.IntVar(&w.rounds, "rounds", 10, "rounds of each workload, each with probes and without")
	fs.BoolVar(&w.by, "by-program", false, "say for each probe how often it runs for a death, and how long (not under record)")
	fs.StringVar(&w.only, "only", "", "leave out the workloads whose name doesn't contain this")
}

// Check implements Benchmark.
func (w *watching) Check() error {
	if w.rounds < 1 || w.rounds > 1000 {
		return errors.New("--rounds must be from 1 to 1000")
	}
	w.churns = slices.DeleteFunc(watchedChurns(w.rounds), func(c watchedChurn) bool { return !strings.Contains(c.Name, w.only) })
	for i := range w.churns {
		w.churns[i].ByProgram = w.by && !w.churns[i].Recorded
	}
	if len(w.churns) == 0 {
		return fmt.Errorf("--only %q leaves no workload", w.only)
	}
	return nil
}

// Run implements Benchmark.
func (w *watching) Run(ctx context.Context, on Machines) (string, error) {
	var text strings.Builder
	var wrong []error
	err := on.each(ctx, func(t *target.VM, kernel string) error {
		measured, outcome, err := call[[]watchedResult](ctx, &on, t, kernel, taskWatching, w.churns)
		if err == nil && len(measured) != len(w.churns) {
			err = errors.New("the guest sent another number of workloads")
		}
		if err != nil {
			return err
		}
		wrong = append(wrong, writeWatching(&text, outcome, w.churns, measured))
		writeByProgram(&text, w.churns, measured)
		return nil
	})
	return text.String(), errors.Join(append(wrong, err)...)
}
