// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/task"
	"github.com/mapprof/mapprof/workloads/hold"
	"github.com/spf13/pflag"
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
	// Held is for how long the reader stayed after the operation was seen to
	// wait, by its own clock: minimum, median, maximum.
	Held     [3]int64
	Measured [3]int64
	// Excess is from the reader's end, by its own clock, to the phase's, death
	// by death; with no hold that could lengthen the phase it is Measured.
	Excess [3]int64
	Short  int // deaths whose phase is shorter than the hold
	// Looked is by how much after the reader's end the kernel first looked
	// for it, where it has to look: see srcuLook. Without a hold there is no
	// such wait. Zero elsewhere.
	Looked [3]int64
	// Quartile: three quarters of the excesses less Looked, death by death,
	// are at most this.
	Quartile int64
}

// srcuLook is called when SRCU looks whether its readers have ended: nothing
// tells it. It does so a jiffy and as long as the grace period has lasted after
// the last time, at most 10 jiffies (srcu_get_delay(), SRCU_MAX_INTERVAL). The
// function tracer sees it.
const srcuLook = "process_srcu"

// onSRCU: since 7.0 tasks-trace is built on it.
func onSRCU(t *trial.Measurement) bool {
	attached := func(function string) bool {
		return slices.ContainsFunc(t.Probes, func(a probes.Attachment) bool { return a.Function == function && a.Mechanism != "" })
	}
	return attached("call_srcu") && !attached("call_rcu_tasks_trace")
}

// lookedAfter is by how much after each reader's end the first look came; 0
// where none came before the phase's end: then one that was under way saw it.
// It means nothing where there was no reader.
func lookedAfter(calls []ftraceCall, left, ends []int64) []int64 {
	after := make([]int64, len(left))
	for i := range left {
		for _, c := range calls {
			if c.Function == srcuLook && c.AtNS >= left[i] && c.AtNS <= ends[i] {
				after[i] = c.AtNS - left[i]
				break
			}
		}
	}
	return after
}

// settleTime lets a death end before the next hold begins: several grace
// periods without a hold.
var settleTime = map[string]time.Duration{
	results.StrategyRCU: 150 * time.Millisecond, results.StrategyTasksTrace: 700 * time.Millisecond,
}

// holdPhases are where a hold of a kind must be found.
var holdPhases = map[string]string{
	results.StrategyRCU: results.PhaseRCUGP, results.StrategyTasksTrace: results.PhaseTasksTraceGP,
}

// measureHolds runs in the guest: no hold and each length, and a reader where
// it must not show.
func measureHolds(ctx context.Context, env *task.Env, c holdConfig) ([]holdRow, error) {
	if err := startFtrace(srcuLook); err != nil {
		return nil, err
	}
	var rows []holdRow
	add := func(strategy, reader string, lengths ...time.Duration) error {
		say(env, fmt.Sprintf("strategy %s, reader %s held for %v in turn", strategy, reader, lengths))
		more, err := measureHold(ctx, c.Count, strategy, reader, lengths)
		rows = append(rows, more...)
		return err
	}
	for _, kind := range []string{results.StrategyRCU, results.StrategyTasksTrace} {
		if err := add(kind, kind, append([]time.Duration{0}, c.Lengths[kind]...)...); err != nil {
			return nil, err
		}
	}
	// An RCU grace period doesn't wait for a tasks-trace reader.
	longest := slices.Max(c.Lengths[results.StrategyTasksTrace])
	return rows, add(results.StrategyRCU, results.StrategyTasksTrace, longest)
}

// holdTrial is what one trial measured, by operation.
type holdTrial struct {
	held, left    []int64 // by the reader itself; held is 0 where none was
	waits, waited []int64 // of the updates, and their ends
	phase, ends   []int64
	looked        []int64 // see lookedAfter; empty where the kernel is told
}

// measureHold lets the lengths take turns, death by death, so that what disturbs
// the machine for a while disturbs all alike.
func measureHold(ctx context.Context, count int, strategy, reader string, lengths []time.Duration) ([]holdRow, error) {
	// What the trial before has left to clean up (programs, trampolines) would
	// keep RCU busy during the first deaths.
	time.Sleep(2 * time.Second)
	settle := max(settleTime[strategy], settleTime[reader])
	var list []string
	for _, l := range lengths {
		list = append(list, l.String())
	}
	count *= len(lengths)
	t, err := measure(ctx, &trial.Job{Workload: "churn", Strategy: strategy, Params: map[string]string{
		"count":       fmt.Sprint(count),
		"rate":        fmt.Sprintf("%f", 1/(slices.Max(lengths)+settle).Seconds()),
		"hold-reader": reader + "=" + strings.Join(list, ","),
	}})
	if err != nil {
		return nil, err
	}
	m, err := byOperation(t, count, strategy)
	if err != nil {
		return nil, err
	}
	var rows []holdRow
	for turn, length := range lengths {
		of := func(all []int64) []int64 {
			var out []int64
			for i := turn; i < len(all); i += len(lengths) {
				out = append(out, all[i])
			}
			return out
		}
		row := holdRow{Strategy: strategy, Reader: reader, Length: length, Phase: holdPhases[strategy]}
		wait := row
		wait.Phase = results.PhaseUpdateWait
		switch {
		case length == 0:
			row.Reader, wait.Reader = "", ""
			row, wait = row.notHeld(nil, of(m.phase)), wait.notHeld(nil, of(m.waits))
		case reader != strategy:
			row, wait = row.notHeld(of(m.held), of(m.phase)), wait.notHeld(of(m.held), of(m.waits))
		default:
			row = row.heldBy(of(m.held), of(m.left), of(m.phase), of(m.ends), of(m.looked))
			wait = wait.heldBy(of(m.held), of(m.left), of(m.waits), of(m.waited), nil)
		}
		rows = append(rows, row)
		if strategy == results.StrategyRCU { // else an update waits for something else
			rows = append(rows, wait)
		}
	}
	return rows, nil
}

// byOperation puts what a trial of churn measured in the order of its
// operations, each of which causes one death.
func byOperation(t *trial.Measurement, count int, strategy string) (m holdTrial, err error) {
	m.left = t.Result.HeldUntilNS
	for _, w := range t.Waits {
		m.waits, m.waited = append(m.waits, w.EndNS-w.StartNS), append(m.waited, w.EndNS)
	}
	if n := len(t.Deaths); n != count || t.Outcome.Puts != uint64(count) || len(m.waits) != count || len(m.waited) != count || len(m.left) != count {
		return m, fmt.Errorf("%d operations: %d deaths of %d, %d update waits, %d ends of readers", count, n, t.Outcome.Puts, len(m.waits), len(m.left))
	}
	held := t.Result.Metrics[hold.MetricName].Values
	m.held = make([]int64, count)
	for i, left := range m.left {
		if left == 0 {
			continue
		}
		if len(held) == 0 {
			return m, fmt.Errorf("%d operations: too few times of readers", count)
		}
		m.held[i], held = int64(held[0]), held[1:]
	}
	deaths := slices.SortedFunc(slices.Values(t.Deaths), func(a, b results.Death) int { return cmp.Compare(a.PutNS, b.PutNS) })
	for _, d := range deaths {
		ns, ok := d.PhaseNS()[holdPhases[strategy]]
		if !ok {
			return m, fmt.Errorf("strategy %s: a death by way of %s has no %s", strategy, d.Path, holdPhases[strategy])
		}
		end := d.RCUEndNS
		if strategy == results.StrategyTasksTrace {
			end = d.TasksTraceEndNS
		}
		m.phase, m.ends = append(m.phase, ns), append(m.ends, end)
	}
	if strategy == results.StrategyTasksTrace && onSRCU(t) {
		calls, err := ftraceCalls()
		if err != nil {
			return m, err
		}
		m.looked = lookedAfter(calls, m.left, m.ends)
	}
	return m, nil
}

// notHeld fills in what was measured in a phase that no hold lengthens; held
// are those of a reader of another kind, if there is one.
func (r holdRow) notHeld(held, measured []int64) holdRow {
	r.N, r.Measured = len(measured), spread(measured)
	r.Excess = r.Measured
	if len(held) > 0 {
		r.Held = spread(held)
	}
	return r
}

// heldBy fills in what was measured in the phase that the reader lengthens:
// for each death how long the reader was held at least, when it left, the
// phase's length and end, and what lookedAfter says, if anything.
func (r holdRow) heldBy(held, left, measured, ends, looked []int64) holdRow {
	excess := make([]int64, len(measured))
	for i := range measured {
		excess[i] = ends[i] - left[i]
		if measured[i] < max(held[i], r.Length.Nanoseconds()) {
			r.Short++
		}
	}
	r.N, r.Held, r.Measured, r.Excess = len(measured), spread(held), spread(measured), spread(excess)
	if len(looked) > 0 {
		r.Looked = spread(looked)
	}
	for i := range looked {
		excess[i] -= looked[i]
	}
	slices.Sort(excess)
	r.Quartile = excess[(len(excess)-1)*3/4]
	return r
}

// spread is the minimum, the median and the maximum.
func spread(v []int64) [3]int64 {
	s := slices.Sorted(slices.Values(v))
	return [3]int64{s[0], s[len(s)/2], s[len(s)-1]}
}

// checkHolds compares the measured phases with the known holds, and returns an error
// that names each row out of bounds.
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
			errs = append(errs, fmt.Errorf("%s: %d of %d are shorter than the hold (they end from %v after the reader on)", name, r.Short, r.N, time.Duration(r.Excess[0])))
		}
		if !r.within(base[at]) {
			errs = append(errs, fmt.Errorf("%s: the third quartile of the excess, %v, is beyond what the phase takes without a hold, %v to %v",
				name, time.Duration(r.Quartile), time.Duration(base[at].Measured[0]), time.Duration(base[at].Measured[2])))
		}
	}
	return errors.Join(errs...)
}

// within tells whether the excess is in the spread of those without a hold.
// The maxima of two equal samples would differ one way or the other. That more
// than a quarter of one, 6 of 20, is over the maximum of the other has a chance
// of 1 in 99: those are the last 6 of 40, C(20,6)/C(40,6).
func (r holdRow) within(base holdRow) bool {
	return r.Quartile <= base.Measured[2]
}

func writeHolds(w *strings.Builder, o target.Outcome, rows []holdRow) {
	fmt.Fprintf(w, "%s, %d CPUs, QEMU %s, %s; times in ms, `min / median / max`:\n\n", o.Release, o.CPUs, o.QEMU, strings.ToUpper(o.Accel))
	w.WriteString("| strategy | reader held | deaths | phase | held, by the reader | measured | excess | of it until SRCU looked | shorter than the hold | excess within the spread without one |\n" +
		"|---|---|---:|---|---|---|---|---|---:|---|\n")
	base := map[string]holdRow{}
	for _, r := range rows {
		at := r.Strategy + " " + r.Phase
		if r.Reader == "" {
			base[at] = r
		}
		reader, held, excess, looked, short, within := "–", "–", "–", "–", "–", "–"
		if r.Reader != "" {
			reader, held, short = fmt.Sprintf("%s, %v", r.Reader, r.Length), msSpread(r.Held), "is not waited for"
		}
		if r.Reader == r.Strategy {
			excess, short, within = msSpread(r.Excess), fmt.Sprint(r.Short), "yes"
			if r.Looked != [3]int64{} {
				looked, within = msSpread(r.Looked), "yes, less that"
			}
			if !r.within(base[at]) {
				within = fmt.Sprintf("no: third quartile %.1f", float64(r.Quartile)/1e6)
			}
		}
		fmt.Fprintf(w, "| %s | %s | %d | %s | %s | %s | %s | %s | %s | %s |\n", r.Strategy, reader, r.N, r.Phase, held, msSpread(r.Measured), excess, looked, short, within)
	}
	w.WriteString("\n")
}

func msSpread(v [3]int64) string {
	ms := func(ns int64) string { return fmt.Sprintf("%.1f", float64(ns)/1e6) }
	return ms(v[0]) + " / " + ms(v[1]) + " / " + ms(v[2])
}

// heldReaders is the benchmark.
type heldReaders struct {
	config          holdConfig
	rcu, tasksTrace []time.Duration
}

// AddFlags implements Benchmark.
func (h *heldReaders) AddFlags(fs *pflag.FlagSet) {
	fs.IntVar(&h.config.Count, "count", 20, "deaths for each length")
	fs.DurationSliceVar(&h.rcu, "rcu", []time.Duration{5 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond}, "holds of the RCU reader")
	fs.DurationSliceVar(&h.tasksTrace, "tasks-trace", []time.Duration{50 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond}, "holds of the tasks-trace reader")
}

// Check implements Benchmark.
func (h *heldReaders) Check() error {
	if h.config.Count < 1 || len(h.rcu) == 0 || len(h.tasksTrace) == 0 {
		return errors.New("--count must be at least 1, and --rcu and --tasks-trace name a length each")
	}
	return nil
}

// Run implements Benchmark.
func (h *heldReaders) Run(ctx context.Context, on Machines) (string, error) {
	h.config.Lengths = map[string][]time.Duration{results.StrategyRCU: h.rcu, results.StrategyTasksTrace: h.tasksTrace}
	var text strings.Builder
	var wrong []error
	err := on.each(ctx, func(t *target.VM, kernel string) error {
		rows, outcome, err := call[[]holdRow](ctx, &on, t, kernel, taskHold, h.config)
		if err != nil {
			return err
		}
		writeHolds(&text, outcome, rows)
		if err := checkHolds(rows); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", kernel, err))
		}
		return nil
	})
	return text.String(), errors.Join(append(wrong, err)...)
}
