// SPDX-License-Identifier: Apache-2.0

package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/mapprof/mapprof/results/inventory"
)

// filled returns a value of a type in which everything is there: one element in
// each list, one entry in each map, 1 in each number.
func filled(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Float64:
		v.SetFloat(1)
	case reflect.String:
		v.SetString("x")
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		v.Elem().Set(filled(t.Elem()))
	case reflect.Slice:
		v.Set(reflect.Append(v, filled(t.Elem())))
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(filled(t.Key()), filled(t.Elem()))
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return reflect.ValueOf(time.Unix(1, 0).UTC())
		}
		for i := range t.NumField() {
			v.Field(i).Set(filled(t.Field(i).Type))
		}
	}
	return v
}

// fullRun has every field that run.json can have.
func fullRun(t *testing.T) map[string]any {
	t.Helper()
	run := filled(reflect.TypeFor[Run]()).Interface().(Run)
	run.Scenarios[0].TargetIx = 0
	for _, phases := range []map[string]Stats{run.Scenarios[0].Phases, run.Scenarios[0].Trials[0].Phases} {
		for _, name := range AllPhases() {
			phases[name] = phases["x"]
		}
		// The parts take no longer than the whole.
		for _, name := range []string{PhaseEnqueue, PhaseTasksTraceGP, PhaseQueue, PhaseFree} {
			delete(phases, name)
		}
		limbo := phases[PhaseLimbo] // of two deaths, one of which was kept
		limbo.N, limbo.SumNS = 2, 2
		phases[PhaseLimbo] = limbo
	}
	for _, metrics := range []map[string]Metric{run.Scenarios[0].Metrics, run.Scenarios[0].Trials[0].Metrics} {
		m := metrics["x"]
		m.BucketWidth = 0.5 // of a value
		metrics["x"] = m
	}
	for _, live := range []*inventory.Maps{&run.Scenarios[0].Trials[0].Live.Start, run.Scenarios[0].Trials[0].Live.End} {
		live.Held.LiveMaps, live.Held.LiveBytes = 2, 2 // one listed, and one other
		live.Holders[0].Maps, live.Holders[0].Bytes = 2, 2
	}
	run.Files = map[string]File{DeathsFile: {Count: 1, Bytes: 1}}
	data, err := json.Marshal(run)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeRun(data); err != nil {
		t.Fatalf("what nothing is wrong with: %v", err)
	}
	var tree map[string]any
	if err := json.Unmarshal(data, &tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

// eachNumber calls f for every number in a tree of JSON, with its path and with
// what sets it.
func eachNumber(tree any, path string, f func(path string, set func(any))) {
	switch v := tree.(type) {
	case map[string]any:
		for name, inner := range v {
			at := strings.TrimPrefix(path+"."+name, ".")
			if n, ok := inner.(float64); ok {
				f(at, func(to any) { v[name] = to })
				v[name] = n
				continue
			}
			eachNumber(inner, at, f)
		}
	case []any:
		for i := range v {
			eachNumber(v[i], fmt.Sprintf("%s[%d]", path, i), f)
		}
	}
}

// impossible are numbers that nobody measures. NaN and infinity can't be written
// in JSON.
var impossible = []any{-1, -1e308, 1e308, json.Number("1e999"), "NaN"}

// impossibleInteger is one that a floating-point number may be.
const impossibleInteger = uint64(math.MaxInt64)

// TestNoImpossibleNumberIsBelieved plants impossible numbers in every numeric
// field of run.json. The error names the field.
func TestNoImpossibleNumberIsBelieved(t *testing.T) {
	tree := fullRun(t)
	numbers := 0
	eachNumber(tree, "", func(path string, set func(any)) {
		numbers++
		decode := func(v any) error {
			set(v)
			data, err := json.Marshal(tree)
			if err != nil {
				t.Fatal(err)
			}
			_, err = DecodeRun(data)
			return err
		}
		bads := impossible
		if err := decode(0.5); err != nil && strings.Contains(err.Error(), "number 0.5") { // an integer
			bads = append(slices.Clone(bads), impossibleInteger)
		}
		for _, bad := range bads {
			err := decode(bad)
			field := path[strings.LastIndexByte(path, '.')+1:]
			if path == "schema_version" {
				field = "schema version"
			}
			if i := strings.LastIndexByte(path, '.'); i >= 0 && (field == "x" || slices.Contains(AllPhases(), field)) {
				field = strings.TrimSuffix(path[:i], "[0]") // a map of numbers
				field = field[strings.LastIndexByte(field, '.')+1:]
			}
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "_", " "), strings.ReplaceAll(field, "_", " ")) {
				t.Errorf("%s is %v: %v", path, bad, err)
			}
		}
	})
	if numbers < 100 {
		t.Errorf("only %d numbers were tried", numbers)
	}
}

// TestNoImpossibleDeathIsBelieved is the same for a line of deaths.jsonl.zst.
func TestNoImpossibleDeathIsBelieved(t *testing.T) {
	d := filled(reflect.TypeFor[Death]()).Interface().(Death)
	d.FreedNS = d.FreeNS + d.FreeWaitNS
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	read := func(line []byte) error {
		return DecodeDeaths(bytes.NewReader(compressed(t, append(line, '\n'))), func(*Death) error { return nil })
	}
	if err := read(data); err != nil {
		t.Fatalf("what nothing is wrong with: %v", err)
	}
	var tree map[string]any
	if err := json.Unmarshal(data, &tree); err != nil {
		t.Fatal(err)
	}
	numbers := 0
	eachNumber(tree, "", func(field string, set func(any)) {
		numbers++
		for _, bad := range impossible {
			set(bad)
			line, err := json.Marshal(tree)
			if err != nil {
				t.Fatal(err)
			}
			if err := read(line); err == nil || !strings.Contains(err.Error(), field) {
				t.Errorf("%s is %v: %v", field, bad, err)
			}
		}
	})
	if numbers != 20 {
		t.Errorf("%d numbers were tried", numbers)
	}
	backwards := Death{PutNS: 5, FreeNS: 4, FreedNS: 6}
	if data, err = json.Marshal(backwards); err != nil {
		t.Fatal(err)
	}
	if err := read(data); err == nil || !strings.Contains(err.Error(), "phase queue ends 1 ns before it begins") {
		t.Errorf("a phase that runs backwards: %v", err)
	}
}

func compressed(t *testing.T, data []byte) []byte {
	t.Helper()
	zw, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer zw.Close()
	return zw.EncodeAll(data, nil)
}

// TestRunsThatContradictThemselves have possible numbers that don't go together.
func TestRunsThatContradictThemselves(t *testing.T) {
	trial := func(r *Run) *Trial { return &r.Scenarios[0].Trials[0] }
	phase := func(change func(*Stats)) func(*Run) {
		return func(r *Run) {
			s := trial(r).Phases[PhaseLimbo]
			change(&s)
			trial(r).Phases = map[string]Stats{PhaseLimbo: s}
		}
	}
	metric := func(change func(*Metric)) func(*Run) {
		return func(r *Run) {
			m := Metric{N: 2, P50: 1, P90: 2, P99: 2, Min: 1, Max: 2, Mean: 1.5}
			change(&m)
			trial(r).Metrics = map[string]Metric{"m": m}
		}
	}
	for _, c := range []struct {
		field  string // empty: nothing is wrong
		change func(*Run)
	}{
		{"", func(*Run) {}},
		{"scenarios[0].trials[1].index", func(r *Run) { r.Scenarios[0].Trials = append(r.Scenarios[0].Trials, *trial(r)) }},
		{"scenarios[0].phases.limbo.n", func(r *Run) { r.Scenarios[0].Phases = map[string]Stats{PhaseLimbo: {N: 1}} }},
		{"scenarios[0].metrics.m.n", func(r *Run) { r.Scenarios[0].Metrics = map[string]Metric{"m": {N: 1}} }},
		{"scenarios[0].trials[0].phases.limbo.p90_ns", phase(func(s *Stats) { s.P90NS = 14 })},
		{"scenarios[0].trials[0].phases.limbo.p50_ns", phase(func(s *Stats) { s.MinNS = 16 })},
		{"scenarios[0].trials[0].phases.limbo.max_ns", phase(func(s *Stats) { s.P99NS = 16 })},
		{"scenarios[0].trials[0].phases.limbo.mean_ns", phase(func(s *Stats) { s.MeanNS = 16 })},
		{"scenarios[0].trials[0].phases.limbo.sum_ns", phase(func(s *Stats) { s.SumNS = 280 })},
		{"scenarios[0].trials[0].phases.limbo.n", phase(func(s *Stats) { s.N = 0 })},
		{"scenarios[0].trials[0].phases.free.n", func(r *Run) {
			trial(r).Phases = map[string]Stats{PhaseLimbo: trial(r).Phases[PhaseLimbo], PhaseFree: {N: 3}}
		}},
		{"scenarios[0].trials[0].phases.limbo.sum_ns", func(r *Run) {
			l := trial(r).Phases[PhaseLimbo]
			trial(r).Phases = map[string]Stats{PhaseLimbo: l, PhaseFree: l, PhaseQueue: l}
		}},
		{"", metric(func(*Metric) {})},
		{"scenarios[0].trials[0].metrics.m.p90", metric(func(m *Metric) { m.P50 = 3 })},
		{"scenarios[0].trials[0].metrics.m.mean", metric(func(m *Metric) { m.Mean = 3 })},
		{"scenarios[0].trials[0].metrics.m.min", metric(func(m *Metric) { m.Min = -1 })},
		{"", metric(func(m *Metric) { m.Min, m.Difference = -1, true })},
		{"scenarios[0].trials[0].metrics.m.sample", metric(func(m *Metric) { m.Sample, m.Seen = 3, 1<<20 })},
		{"scenarios[0].trials[0].metrics.m.sample", metric(func(m *Metric) { m.Sample, m.Seen = 16, m.N-1 })},
		{"scenarios[0].trials[0].metrics.m.bucket_width", metric(func(m *Metric) { m.BucketWidth = 1 })},
		{"scenarios[0].trials[0].metrics.m.n", metric(func(m *Metric) { m.N = 0 })},
		{"scenarios[0].trials[0].grace_periods[0].end_ns", func(r *Run) { trial(r).GracePeriods = []GracePeriod{{StartNS: 5, EndNS: 4}} }},
		{"scenarios[0].trials[0].timeline[1].at_ns", func(r *Run) { trial(r).Timeline = []LimboPoint{{AtNS: 5}, {AtNS: 4}} }},
		{"scenarios[0].trials[0].pending.min_ns", func(r *Run) { trial(r).Pending = &Pending{N: 1, MinNS: 5, MaxNS: 4} }},
		{"scenarios[0].trials[0].update_wait_expedited", func(r *Run) { trial(r).Expedited = 1 }},
		{"files.deaths.jsonl.zst.count", func(r *Run) { r.Files[DeathsFile] = File{Count: 1} }},
		{`scenarios[0].trials[0].phases."<b>".p50_ns`, func(r *Run) {
			trial(r).Phases = map[string]Stats{PhaseLimbo: trial(r).Phases[PhaseLimbo], "<b>": {N: 1, MinNS: 1}}
		}},
	} {
		run := sampleRun()
		run.SchemaVersion, run.Files = SchemaVersion, map[string]File{}
		c.change(run)
		data, err := json.Marshal(run)
		if err != nil {
			t.Fatal(err)
		}
		_, err = DecodeRun(data)
		var field *FieldError
		if (c.field != "") != errors.As(err, &field) || c.field != "" && field.Field != c.field {
			t.Errorf("%q: %v", c.field, err)
		}
	}
}

// TestOldRunsAreValid: nothing that an early version wrote is refused.
func TestOldRunsAreValid(t *testing.T) {
	old, err := filepath.Glob("../cmd/mapprof/testdata/v0/*")
	if err != nil || len(old) < 4 {
		t.Fatal(old, err)
	}
	for _, dir := range old {
		d, err := Open(dir)
		if err != nil {
			t.Errorf("%s: %v", dir, err)
			continue
		}
		if d.Run.SchemaVersion != 1 {
			t.Errorf("%s has schema version %d", dir, d.Run.SchemaVersion)
		}
	}
}
