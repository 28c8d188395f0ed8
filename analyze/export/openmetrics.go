// SPDX-License-Identifier: Apache-2.0

package export

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

func init() {
	registerExport(Format{"openmetrics", "Prometheus and what reads its format: the figures of every scenario", writeOpenMetrics})
}

// writeOpenMetrics writes the scenarios' figures in the OpenMetrics 1.0 text
// format. All lines of one family stand together, as the format wants it.
func writeOpenMetrics(d *results.Dir, w io.Writer) error {
	o := &openMetrics{run: d.Run}
	o.info()
	o.phases()
	o.each("mapprof_limbo_peak_bytes", "gauge", "bytes", "Most memory in limbo at once, over all trials.", func(s *results.Scenario, l labels) {
		o.sample("mapprof_limbo_peak_bytes", l, float64(s.Limbo.PeakBytes))
	})
	o.each("mapprof_limbo_byte_seconds", "gauge", "", "Memory in limbo times how long it was there, summed over the trials.", func(s *results.Scenario, l labels) {
		o.sample("mapprof_limbo_byte_seconds", l, s.Limbo.ByteSeconds)
	})
	o.each("mapprof_maps", "counter", "", "Maps whose last reference was dropped, by what became of them.", func(s *results.Scenario, l labels) {
		var freed, inFlight, lost uint64
		for _, t := range s.Trials {
			freed, inFlight, lost = freed+t.Freed, inFlight+t.InFlight, lost+t.Lost
		}
		o.sample("mapprof_maps_total", l.with("state", "freed"), float64(freed))
		o.sample("mapprof_maps_total", l.with("state", "in_flight"), float64(inFlight))
		o.sample("mapprof_maps_total", l.with("state", "lost"), float64(lost))
	})
	o.each("mapprof_loss", "counter", "", "What the tracer failed to record, by kind.", func(s *results.Scenario, l labels) {
		for _, kind := range sortedKeys(s.Loss) {
			o.sample("mapprof_loss_total", l.with("kind", kind), float64(s.Loss[kind]))
		}
	})
	o.each("mapprof_metric", "gauge", "", "Figures that are no phase, such as the cost of a lookup.", func(s *results.Scenario, l labels) {
		for _, name := range sortedKeys(s.Metrics) {
			m := s.Metrics[name]
			if m.N == 0 {
				continue
			}
			l := l.with("metric", name).with("unit", m.Unit)
			for _, q := range []struct {
				stat  string
				value float64
			}{{"mean", m.Mean}, {"p50", m.P50}, {"p90", m.P90}, {"p99", m.P99}, {"min", m.Min}, {"max", m.Max}} {
				o.sample("mapprof_metric", l.with("stat", q.stat), q.value)
			}
		}
	})
	o.buf.WriteString("# EOF\n")
	if o.err != nil {
		return fmt.Errorf("export openmetrics: %w", o.err)
	}
	if _, err := w.Write(o.buf.Bytes()); err != nil {
		return fmt.Errorf("export openmetrics: %w", err)
	}
	return nil
}

type openMetrics struct {
	run *results.Run
	buf bytes.Buffer
	err error
}

type labels []string // rendered pairs

func (l labels) with(name, value string) labels {
	value = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(safetext.Name(value))
	return append(slices.Clone(l), name+`="`+value+`"`)
}

func (o *openMetrics) of(s *results.Scenario) labels {
	return labels{}.with("scenario", s.ID).with("workload", s.Workload).with("kernel", s.Kernel).
		with("strategy", s.Strategy.Requested).with("observed", s.Strategy.Observed)
}

func (o *openMetrics) family(name, kind, unit, help string) {
	fmt.Fprintf(&o.buf, "# TYPE %s %s\n", name, kind)
	if unit != "" {
		fmt.Fprintf(&o.buf, "# UNIT %s %s\n", name, unit)
	}
	fmt.Fprintf(&o.buf, "# HELP %s %s\n", name, help)
}

func (o *openMetrics) each(name, kind, unit, help string, f func(*results.Scenario, labels)) {
	o.family(name, kind, unit, help)
	for i := range o.run.Scenarios {
		s := &o.run.Scenarios[i]
		f(s, o.of(s))
	}
}

func (o *openMetrics) sample(name string, l labels, v float64) {
	if !compare.Finite(v) && o.err == nil {
		o.err = fmt.Errorf("%s{%s} is %v", name, strings.Join(l, ","), v)
	}
	fmt.Fprintf(&o.buf, "%s{%s} %s\n", name, strings.Join(l, ","), strconv.FormatFloat(v, 'g', -1, 64))
}

func (o *openMetrics) info() {
	o.family("mapprof_run", "info", "", "What was run where.")
	for i := range o.run.Targets {
		t := &o.run.Targets[i]
		o.sample("mapprof_run_info", labels{}.with("version", o.run.Tool.Version).with("target", t.Kind).with("accel", t.Accel).
			with("clock", t.Clock).with("kernel", t.Kernel.Release).with("build", t.Kernel.Build).with("index", strconv.Itoa(i)), 1)
	}
}

func (o *openMetrics) phases() {
	const name = "mapprof_phase_seconds"
	o.each(name, "summary", "seconds", "How long each phase of a map's death lasts, over all trials.", func(s *results.Scenario, l labels) {
		for _, phase := range sortedKeys(s.Phases) {
			p := s.Phases[phase]
			if p.N == 0 {
				continue // no data is not zero
			}
			l := l.with("phase", phase)
			for _, q := range []struct {
				name string
				ns   int64
			}{{"0.5", p.P50NS}, {"0.9", p.P90NS}, {"0.99", p.P99NS}, {"1", p.MaxNS}} {
				o.sample(name, l.with("quantile", q.name), float64(q.ns)/1e9)
			}
			o.sample(name+"_count", l, float64(p.N))
			o.sample(name+"_sum", l, float64(p.SumNS)/1e9)
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
