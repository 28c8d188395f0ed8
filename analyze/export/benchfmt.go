// SPDX-License-Identifier: Apache-2.0

package export

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/perf/benchfmt"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

func init() {
	registerExport(Format{"benchfmt", "Go's benchmark format, for benchstat: one line per trial and phase", writeBenchfmt})
}

// writeBenchfmt writes every whole trial as a repetition. The configuration says
// what the run was of, so that files put together can be split by it. benchstat
// takes lines apart whose configurations differ: runs are set side by side with
// -ignore version,date and, unless it is the column, kernel.
func writeBenchfmt(d *results.Dir, w io.Writer) error {
	bw, some := benchfmt.NewWriter(w), false
	for i := range d.Run.Scenarios {
		s := &d.Run.Scenarios[i]
		figures, err := compare.FiguresOf(s)
		if err != nil {
			return fmt.Errorf("export benchfmt: %w", err)
		}
		config := benchConfig(d.Run, s)
		name := title(benchWord(s.Workload)) + "/strategy=" + benchWord(s.Strategy.Requested)
		for _, t := range compare.WholeTrials(s) {
			for _, r := range benchResults(name, t, figures) {
				r.Config, some = config, true
				if err := bw.Write(&r); err != nil {
					return fmt.Errorf("export benchfmt: %w", err)
				}
			}
		}
	}
	if !some {
		return empty("benchfmt", "figures", d.Run)
	}
	return nil
}

// benchConfig is the file's configuration. Without a date, as runs that are made up
// are, it has none.
func benchConfig(run *results.Run, s *results.Scenario) []benchfmt.Config {
	t := &run.Targets[s.TargetIx]
	date := ""
	if !run.Started.IsZero() {
		date = run.Started.UTC().Format(time.RFC3339)
	}
	var out []benchfmt.Config
	for _, kv := range [][2]string{
		{"workload", s.Workload}, {"kernel", s.KernelName()}, {"version", run.Tool.Version}, {"date", date},
		{"target", t.Kind}, {"accel", t.Accel}, {"clock", t.Clock}, {"cpus", fmt.Sprint(t.CPUs)},
	} {
		// Without File the writer leaves the key out. An empty value deletes a key.
		out = append(out, benchfmt.Config{Key: kv[0], Value: []byte(safetext.Name(kv[1])), File: true})
	}
	return out
}

// title makes the first letter upper case: a lower one would end the name of
// a Go benchmark.
func title(s string) string {
	r := []rune(s)
	r[0] = unicode.ToUpper(r[0])
	return string(r)
}

// benchWord makes a part of a benchmark's name: no space, no slash, not empty.
func benchWord(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '/' || r == '=' {
			return '_'
		}
		return r
	}, safetext.Name(s))
	if s == "" {
		return "_"
	}
	return s
}

// benchResults makes one line of all figures that begin with the same name
// before the last slash.
func benchResults(name string, t results.Trial, figures []compare.Figure) []benchfmt.Result {
	var out []benchfmt.Result
	index := map[string]int{}
	for _, f := range figures {
		at := slices.Index(f.TrialIndexes, t.Index)
		if at < 0 {
			continue
		}
		of, kind := cutLast(f.Name)
		i, ok := index[of]
		if !ok {
			i = len(out)
			index[of] = i
			key := "/metric="
			if _, isPhase := t.Phases[of]; isPhase {
				key = "/phase="
			}
			out = append(out, benchfmt.Result{Name: benchfmt.Name(name + key + benchWord(of)), Iters: benchN(t, of)})
		}
		out[i].Values = append(out[i].Values, benchfmt.Value{Value: f.Values[at], Unit: benchUnit(kind, f.Unit)})
	}
	return out
}

func cutLast(name string) (before, after string) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return name, ""
	}
	return name[:i], name[i+1:]
}

func benchN(t results.Trial, of string) int {
	if s, ok := t.Phases[of]; ok {
		return int(min(s.N, 1<<30))
	}
	if m, ok := t.Metrics[of]; ok {
		return int(min(m.N, 1<<30))
	}
	return 1
}

// benchUnit names a value's unit such that benchstat scales nanoseconds.
func benchUnit(kind, unit string) string {
	switch {
	case unit == compare.UnitBytes && strings.HasSuffix(kind, "_bytes"):
		return strings.TrimSuffix(kind, "_bytes") + "-bytes"
	case unit == compare.UnitByteSeconds:
		return strings.ReplaceAll(kind, "_", "-")
	case unit == compare.UnitOpsPerS, unit == compare.UnitPerOp:
		return unit
	case unit == "":
		unit = "value"
	}
	return kind + "-" + strings.ReplaceAll(benchWord(unit), "_", "/")
}
