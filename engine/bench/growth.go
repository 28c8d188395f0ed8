// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/spf13/pflag"
)

// growth is the benchmark: what one scenario, death, slot or CPU costs where there are
// more and more of them. It must not grow with their number.
type growth struct {
	scenarios, deaths, slots, cpus []uint
	rounds                         int
	limit                          float64
	only                           []string
}

// growthPart is one thing that grows.
type growthPart struct {
	name    string
	sizes   []uint
	most    uint // that mapprof takes, or that was tried
	measure func(ctx context.Context, on *Machines) ([]growthRow, error)
}

// growthRow is a cost at growing sizes.
type growthRow struct {
	what  string
	sizes []uint
	cost  []float64 // of each size, or of each step between two
	unit  string
	limit float64 // on the last cost over the first; 0: none
}

// parts are in the order of the table.
func (g *growth) parts() []growthPart {
	return []growthPart{
		{"scenarios", g.scenarios, 10_000, g.ofScenarios},
		{"deaths", g.deaths, mostDeaths, g.ofDeaths},
		{"slots", g.slots, 1 << 16, g.ofSlots},
		{"cpus", g.cpus, 255, g.ofCPUs},
	}
}

// AddFlags implements Benchmark.
func (g *growth) AddFlags(fs *pflag.FlagSet) {
	fs.UintSliceVar(&g.scenarios, "scenarios", []uint{10, 100, 1000, 10_000}, "scenarios of the runs that are read, shown, compared, gated and served")
	fs.UintSliceVar(&g.deaths, "deaths", []uint{1000, 10_000, 100_000, 1_000_000}, "deaths of a run")
	fs.UintSliceVar(&g.slots, "slots", []uint{1, 16, 256, 4096, 65_536}, "slots of churn's outer map, all with an inner map")
	fs.UintSliceVar(&g.cpus, "cpus", []uint{1, 2, 4, 8}, "CPUs of a VM")
	fs.IntVar(&g.rounds, "rounds", 3, "how often each command is run, of which the cheapest counts")
	// What is quadratic costs ten times as much with ten times as many.
	fs.Float64Var(&g.limit, "limit", 2, "fail if the last cost is more than this times the first")
	var names []string
	for _, p := range g.parts() {
		names = append(names, p.name)
	}
	fs.StringSliceVar(&g.only, "only", names, "what grows")
}

// Check implements Benchmark.
func (g *growth) Check() error {
	if g.rounds < 1 || g.rounds > 100 {
		return errors.New("--rounds must be from 1 to 100")
	}
	if !(g.limit > 0) {
		return errors.New("--limit must be above 0")
	}
	var names []string
	for _, p := range g.parts() {
		names = append(names, p.name)
		if len(p.sizes) < 2 || p.sizes[0] == 0 || !slices.IsSorted(p.sizes) || len(slices.Compact(slices.Clone(p.sizes))) != len(p.sizes) {
			return fmt.Errorf("--%s needs two numbers or more that grow", p.name)
		}
		if last := p.sizes[len(p.sizes)-1]; last > p.most {
			return fmt.Errorf("--%s must be at most %d, not %d", p.name, p.most, last)
		}
	}
	if len(g.scenarios) < 3 {
		return errors.New("--scenarios needs three numbers or more: a cost is that of a step")
	}
	for _, name := range g.only {
		if !slices.Contains(names, name) {
			return flagvalue.OneOf("only", name, names...)
		}
	}
	return nil
}

// Run implements Benchmark.
func (g *growth) Run(ctx context.Context, on Machines) (string, error) {
	var text strings.Builder
	fmt.Fprintf(&text, `# How the cost grows

One of many must cost what one of few does: the command fails where the last cost over
the first is above the limit.

- Scenarios: one more of them, over each step, of a command as a process of its own: its
  CPU time and its peak resident memory (rounds, of which the least counts: %d). Of more
  than 500 the commands that draw print tables alone, and read no curve: both are held to
  the limit. A run keeps up to 65,536 histograms.
- Deaths and slots: of one, in instructions, on the deterministic clock, by churn without a
  grace period. What fits into the ring buffer waits there until the workload has ended, and
  is decoded after it: so few deaths cost less, and are held to the limit by themselves. On this clock nothing leaves the
  guest before that: the file of deaths waits in its memory, 18 to 21 bytes a death. By the
  wall clock it leaves meanwhile (mapprof bench memory).
- CPUs: by the wall clock, which is not held to a limit where the host has fewer. How often
  the probes run for a death is exact. No death was lost: the command fails where one is.

| grows | cost of | cost | last / first | limit |
|---|---|---|---:|---:|
`, g.rounds)
	var wrong []error
	for _, p := range g.parts() {
		if !slices.Contains(g.only, p.name) {
			continue
		}
		rows, err := p.measure(ctx, &on)
		if err != nil {
			return "", fmt.Errorf("%s: %w", p.name, err)
		}
		for _, r := range rows {
			text.WriteString(r.text(p.name))
			wrong = append(wrong, r.check(p.name))
		}
	}
	return text.String() + "\n", errors.Join(wrong...)
}

// ratio is the last cost over the first.
func (r *growthRow) ratio() float64 { return r.cost[len(r.cost)-1] / r.cost[0] }

// text is the row of a table.
func (r *growthRow) text(name string) string {
	arrows := func(n int, text func(i int) string) string {
		var all []string
		for i := range n {
			all = append(all, text(i))
		}
		return strings.Join(all, " → ")
	}
	limit := "–"
	if r.limit > 0 {
		limit = fmt.Sprintf("%g", r.limit)
	}
	return fmt.Sprintf("| %s: %s | %s | %s %s | %.2f | %s |\n", name, arrows(len(r.sizes), func(i int) string { return fmt.Sprint(r.sizes[i]) }),
		r.what, arrows(len(r.cost), func(i int) string { return threeDigits(r.cost[i]) }), r.unit, r.ratio(), limit)
}

// threeDigits keeps no more of a figure than can be trusted.
func threeDigits(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// check says what grows too much.
func (r *growthRow) check(name string) error {
	if ratio := r.ratio(); r.limit > 0 && !(ratio <= r.limit) {
		return fmt.Errorf("%s: %s: the last costs %.2f times what the first does, more than %g", name, r.what, ratio, r.limit)
	}
	return nil
}
