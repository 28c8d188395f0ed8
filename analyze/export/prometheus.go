// SPDX-License-Identifier: Apache-2.0

package export

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

func init() {
	registerExport(Format{"openmetrics", "OpenMetrics with the run's time: a scrape, promtool's backfill", writeOpenMetrics})
	registerExport(Format{"prometheus", "Prometheus' text format, no times: Pushgateway, node_exporter's textfile collector", writePrometheus})
}

// writeOpenMetrics writes the scenarios' figures in the OpenMetrics 1.0 text
// format. Every sample has the time at which the run ended: a backfill wants
// one, and puts the runs of many days side by side by it.
func writeOpenMetrics(d *results.Dir, w io.Writer) error {
	if d.Run.Ended.IsZero() {
		return errors.New("export openmetrics: run.json has no time at which the run ended (--format prometheus needs none)")
	}
	families, err := metricFamilies(d.Run)
	if err != nil {
		return fmt.Errorf("export openmetrics: %w", err)
	}
	bw := bufio.NewWriter(w)
	for _, f := range families {
		for _, m := range f.Metric {
			m.TimestampMs = new(d.Run.Ended.UnixMilli())
		}
		if _, err := expfmt.MetricFamilyToOpenMetrics(bw, f); err != nil {
			return fmt.Errorf("export openmetrics: %w", err)
		}
	}
	if _, err := expfmt.FinalizeOpenMetrics(bw); err != nil {
		return fmt.Errorf("export openmetrics: %w", err)
	}
	if err := bw.Flush(); err != nil {
		return fmt.Errorf("export openmetrics: %w", err)
	}
	return nil
}

// writePrometheus writes the same figures in Prometheus' text format 0.0.4.
// Pushgateway and node_exporter refuse samples with a time.
func writePrometheus(d *results.Dir, w io.Writer) error {
	families, err := metricFamilies(d.Run)
	if err != nil {
		return fmt.Errorf("export prometheus: %w", err)
	}
	bw := bufio.NewWriter(w)
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(bw, f); err != nil {
			return fmt.Errorf("export prometheus: %w", err)
		}
	}
	if err := bw.Flush(); err != nil {
		return fmt.Errorf("export prometheus: %w", err)
	}
	return nil
}

// metricFamilies returns the run's figures in base units, each family once. One
// without a sample is left out. A figure that isn't finite is an error.
func metricFamilies(run *results.Run) ([]*dto.MetricFamily, error) {
	b := &familyBuilder{run: run}
	b.info()
	b.phases()
	b.each(family{"mapprof_limbo_peak_bytes", dto.MetricType_GAUGE, "bytes", "Most memory in limbo at once, over all trials."}, func(s *results.Scenario, l labels) {
		b.sample(l, float64(s.Limbo.PeakBytes))
	})
	b.each(family{"mapprof_limbo_byte_seconds", dto.MetricType_GAUGE, "byte_seconds", "Memory in limbo times how long it was there, summed over the trials."}, func(s *results.Scenario, l labels) {
		b.sample(l, s.Limbo.ByteSeconds)
	})
	b.each(family{"mapprof_maps_total", dto.MetricType_COUNTER, "", "Maps whose last reference was dropped, by what became of them."}, func(s *results.Scenario, l labels) {
		var freed, inFlight, lost uint64
		for _, t := range s.Trials {
			freed, inFlight, lost = freed+t.Freed, inFlight+t.InFlight, lost+t.Lost
		}
		b.sample(l.with("state", "freed"), float64(freed))
		b.sample(l.with("state", "in_flight"), float64(inFlight))
		b.sample(l.with("state", "lost"), float64(lost))
	})
	b.each(family{"mapprof_loss_total", dto.MetricType_COUNTER, "", "What the tracer failed to record, by kind."}, func(s *results.Scenario, l labels) {
		for _, kind := range sortedKeys(s.Loss) {
			b.sample(l.with("kind", kind), float64(s.Loss[kind]))
		}
	})
	b.owners()
	for _, unit := range metricUnits {
		b.metrics(unit)
	}
	return slices.DeleteFunc(b.families, func(f *dto.MetricFamily) bool { return len(f.Metric) == 0 }), b.err
}

// metricUnit is a family of metrics that have one unit.
type metricUnit struct {
	base  string // the base unit, the end of the family's name; empty: any
	help  string
	from  []string // units in run.json; none: all that no other family takes
	scale float64  // to the base unit
}

var metricUnits = []metricUnit{
	{"seconds", "Times that are no phase, such as the cost of one lookup.", []string{"ns", "ns/op"}, 1e-9},
	{"bytes", "Memory that is not that in limbo.", []string{"bytes"}, 1},
	{"instructions", "Costs in instructions, on the clock that counts them.", []string{"instructions", "instructions/op"}, 1},
	{"", "Figures in other units, each named by its label.", nil, 1},
}

// takes tells whether metrics of that unit are of the family.
func (u metricUnit) takes(unit string) bool {
	if u.from != nil {
		return slices.Contains(u.from, unit)
	}
	return !slices.ContainsFunc(metricUnits, func(o metricUnit) bool { return slices.Contains(o.from, unit) })
}

type family struct {
	name string // a counter's ends in _total, others in the unit, where there is one
	kind dto.MetricType
	unit string // a base unit, or empty
	help string
}

type familyBuilder struct {
	run      *results.Run
	families []*dto.MetricFamily
	err      error // the first
}

type labels []*dto.LabelPair

// with adds a label. An empty one is the same as none, and not every reader keeps
// it.
func (l labels) with(name, value string) labels {
	if value = safetext.Name(value); value == "" {
		return l
	}
	return append(slices.Clone(l), &dto.LabelPair{Name: new(name), Value: new(value)})
}

// begin makes f the family that samples go to.
func (b *familyBuilder) begin(f family) {
	mf := &dto.MetricFamily{Name: new(f.name), Type: new(f.kind), Help: new(f.help)}
	if f.unit != "" {
		mf.Unit = new(f.unit)
	}
	b.families = append(b.families, mf)
}

// each makes a family of what sample adds for every scenario.
func (b *familyBuilder) each(f family, sample func(*results.Scenario, labels)) {
	b.begin(f)
	for i := range b.run.Scenarios {
		s := &b.run.Scenarios[i]
		sample(s, labels{}.with("scenario", s.ID).with("workload", s.Workload).with("kernel", s.Kernel).
			with("strategy", s.Strategy.Requested).with("observed", s.Strategy.Observed).with("clock", b.run.Targets[s.TargetIx].Clock))
	}
}

// sample adds a counter's or a gauge's value to the family begun last.
func (b *familyBuilder) sample(l labels, v float64) {
	m := &dto.Metric{}
	if b.families[len(b.families)-1].GetType() == dto.MetricType_COUNTER {
		m.Counter = &dto.Counter{Value: new(v)}
	} else {
		m.Gauge = &dto.Gauge{Value: new(v)}
	}
	b.add(l, m, v)
}

// add adds a metric with its values to the family begun last.
func (b *familyBuilder) add(l labels, m *dto.Metric, values ...float64) {
	f := b.families[len(b.families)-1]
	m.Label = l
	f.Metric = append(f.Metric, m)
	for _, v := range values {
		if !compare.Finite(v) && b.err == nil {
			b.err = fmt.Errorf("%s of scenario %s is %v", f.GetName(), l[0].GetValue(), v)
		}
	}
}

func (b *familyBuilder) info() {
	b.begin(family{"mapprof_run_info", dto.MetricType_GAUGE, "", "What was run where; always 1."})
	for i := range b.run.Targets {
		t := &b.run.Targets[i]
		b.sample(labels{}.with("version", b.run.Tool.Version).with("target", t.Kind).with("arch", t.Arch).with("accel", t.Accel).
			with("clock", t.Clock).with("kernel", t.Kernel.Release).with("build", t.Kernel.Build).with("index", strconv.Itoa(i)), 1)
	}
}

func (b *familyBuilder) phases() {
	b.each(family{"mapprof_phase_seconds", dto.MetricType_SUMMARY, "seconds", "How long each phase of a map's death lasts, over all trials."}, func(s *results.Scenario, l labels) {
		for _, phase := range sortedKeys(s.Phases) {
			p := s.Phases[phase]
			if p.N == 0 {
				continue // no data is not zero
			}
			summary := &dto.Summary{SampleCount: new(p.N), SampleSum: new(float64(p.SumNS) / 1e9)}
			for _, q := range []struct {
				quantile float64
				ns       int64
			}{{0.5, p.P50NS}, {0.9, p.P90NS}, {0.99, p.P99NS}, {1, p.MaxNS}} {
				summary.Quantile = append(summary.Quantile, &dto.Quantile{Quantile: new(q.quantile), Value: new(float64(q.ns) / 1e9)})
			}
			b.add(l.with("phase", phase), &dto.Metric{Summary: summary})
		}
	})
}

func (b *familyBuilder) metrics(unit metricUnit) {
	name := "mapprof_metric"
	if unit.base != "" {
		name += "_" + unit.base
	}
	b.each(family{name, dto.MetricType_GAUGE, unit.base, unit.help}, func(s *results.Scenario, l labels) {
		for _, name := range sortedKeys(s.Metrics) {
			m := s.Metrics[name]
			if m.N == 0 || !unit.takes(m.Unit) {
				continue
			}
			l := l.with("metric", name)
			if unit.base == "" {
				l = l.with("unit", m.Unit)
			}
			for _, q := range []struct {
				stat  string
				value float64
			}{{"mean", m.Mean}, {"p50", m.P50}, {"p90", m.P90}, {"p99", m.P99}, {"min", m.Min}, {"max", m.Max}} {
				b.sample(l.with("stat", q.stat), q.value*unit.scale)
			}
		}
	})
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
