// SPDX-License-Identifier: Apache-2.0

package export

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// samplesOf returns the values that a run has, by name and labels as the text
// format writes them.
func samplesOf(t *testing.T, families []*dto.MetricFamily) map[string]float64 {
	t.Helper()
	v, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{}, families...)
	if err != nil {
		t.Fatal(err)
	}
	return samplesByName(t, v)
}

func samplesByName(t *testing.T, v model.Vector) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for _, s := range v {
		// A label without a value is one that is not there (Prometheus' data
		// model); node_exporter gives a family's samples the same labels.
		maps.DeleteFunc(s.Metric, func(_ model.LabelName, v model.LabelValue) bool { return v == "" })
		name := s.Metric.String()
		if _, ok := out[name]; ok {
			t.Errorf("%s occurs twice", name)
		}
		out[name] = float64(s.Value)
	}
	return out
}

func parseText(t *testing.T, text string) []*dto.MetricFamily {
	t.Helper()
	p := expfmt.NewTextParser(model.LegacyValidation)
	byName, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	var out []*dto.MetricFamily
	for _, f := range byName {
		out = append(out, f)
	}
	return out
}

// TestExportPrometheus: what a parser reads are the run's figures in base units.
func TestExportPrometheus(t *testing.T) {
	run := evil(t)
	s := &run.Scenarios[0]
	for name, m := range map[string]results.Metric{
		"lookup.helper": {N: 3, Unit: "ns/op", Mean: 250, Min: 200, P50: 200, P90: 300, P99: 300, Max: 300},
		"memory":        {N: 1, Unit: "bytes", Mean: 4096, Min: 4096, P50: 4096, P90: 4096, P99: 4096, Max: 4096},
		"speed":         {N: 1, Unit: "MiB/s", Mean: 7, Min: 7, P50: 7, P90: 7, P99: 7, Max: 7},
		"empty":         {Unit: "ns"},
	} {
		s.Metrics[name], s.Trials[0].Metrics[name] = m, m
	}
	got := samplesOf(t, parseText(t, export(t, "prometheus", exportDir(t, run))))
	sample := func(name string, labels ...model.LabelName) string {
		m := model.Metric{"__name__": model.LabelValue("mapprof_" + name), "scenario": "synthetic", "workload": "=cmd()",
			"kernel": `6.12"\ `, "strategy": "a b/c=d", "observed": "rcu", "clock": "icount"}
		for pair := range slices.Chunk(labels, 2) {
			m[pair[0]] = model.LabelValue(pair[1])
		}
		return m.String()
	}
	p := s.Phases[results.PhaseLimbo]
	owner := []model.LabelName{"outer", "pid", "creator", `a"gent`, "container", "c1", "path", "tasks_trace", "pinned_by", "p of x, q"}
	for name, want := range map[string]float64{
		sample("phase_seconds", "phase", "limbo", "quantile", "0.5"):              float64(p.P50NS) / 1e9,
		sample("phase_seconds", "phase", "limbo", "quantile", "1"):                float64(p.MaxNS) / 1e9,
		sample("phase_seconds_count", "phase", "limbo"):                           200,
		sample("phase_seconds_sum", "phase", "limbo"):                             float64(p.SumNS) / 1e9,
		sample("limbo_peak_bytes"):                                                784,
		sample("maps_total", "state", "freed"):                                    200,
		sample("loss_total", "kind", `ring"full`):                                 2,
		sample("owner_deaths_total", owner...):                                    6, // of two trials
		sample("owner_died_bytes_total", owner...):                                600,
		sample("owner_limbo_seconds_sum", owner...):                               12,
		sample("owner_limbo_seconds_count", owner...):                             6,
		sample("owner_deaths_total", "owner", "others"):                           2,
		sample("live_maps", "holder", "fd", "name", `a"gent`):                     2, // when it ended: of the last trial
		sample("live_bytes", "holder", "none"):                                    10,
		sample("stuck_total"):                                                     2,
		sample("deaths_not_kept_total"):                                           4,
		sample("metric_instructions", "metric", "lookup.syscall", "stat", "mean"): 3286,
		sample("metric_seconds", "metric", "lookup.helper", "stat", "mean"):       250e-9,
		sample("metric_bytes", "metric", "memory", "stat", "max"):                 4096,
		sample("metric", "metric", "speed", "unit", "MiB/s", "stat", "min"):       7,
	} {
		if v, ok := got[name]; !ok || math.Abs(v-want) > 1e-12*want {
			t.Errorf("%s is %v (there: %v), want %v", name, v, ok, want)
		}
		delete(got, name)
	}
	for name := range got {
		if strings.Contains(name, `"empty"`) {
			t.Errorf("no data is %s", name)
		}
	}
}

// TestExportOpenMetrics: the same lines as in the text format, each with the time
// at which the run ended, and numbers as OpenMetrics writes them.
func TestExportOpenMetrics(t *testing.T) {
	d := exportDir(t, evil(t))
	text := export(t, "openmetrics", d)
	if !strings.HasSuffix(text, "\n# EOF\n") || strings.Count(text, "# EOF") != 1 || strings.Contains(text, "\x1b") {
		t.Errorf("%q", text[max(0, len(text)-80):])
	}
	if strings.Contains(text, " info\n") {
		t.Error("older Prometheus refuses the type info")
	}
	var names, plain []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		if !strings.HasSuffix(line, " 1.7956390605e+09\n") {
			t.Errorf("line without the run's end: %s", line)
		}
		name, _, _ := strings.Cut(line, "} ")
		names = append(names, strings.NewReplacer(`"1.0"`, `"1"`).Replace(name))
	}
	for line := range strings.Lines(export(t, "prometheus", d)) {
		if name, _, ok := strings.Cut(line, "} "); ok && !strings.HasPrefix(line, "#") {
			plain = append(plain, name)
		}
	}
	if !slices.Equal(names, plain) {
		t.Errorf("OpenMetrics has\n%s\nthe text format\n%s", strings.Join(names, "\n"), strings.Join(plain, "\n"))
	}
	for _, want := range []string{"# TYPE mapprof_maps counter\n", "# UNIT mapprof_phase_seconds seconds\n", "# UNIT mapprof_limbo_peak_bytes bytes\n", "# TYPE mapprof_run_info gauge\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %s", want)
		}
	}
}

func TestExportPrometheusRefuses(t *testing.T) {
	refused := func(format string, run *results.Run, want string) {
		t.Helper()
		e, err := Find(format)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := e.Write(&results.Dir{Run: run}, &b); err == nil || !strings.Contains(err.Error(), want) || b.Len() > 0 {
			t.Errorf("%s: %v, %d bytes", format, err, b.Len())
		}
	}
	timeless := synthetic.Seeded(1, 0, 1, results.ClockWall, 1)
	refused("openmetrics", timeless, "no time at which the run ended")
	endless := synthetic.Seeded(1, 0, 1, results.ClockWall, 1)
	endless.Ended = time.Unix(1, 0)
	endless.Scenarios[0].Limbo.ByteSeconds = math.Inf(1)
	refused("openmetrics", endless, "mapprof_limbo_byte_seconds of scenario synthetic is +Inf")
	refused("prometheus", endless, "mapprof_limbo_byte_seconds of scenario synthetic is +Inf")
}
