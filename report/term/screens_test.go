// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/gate"
	"github.com/mapprof/mapprof/internal/golden"
	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/report/model"
)

// stored are run directories that an early version wrote.
const stored = "../../cmd/mapprof/testdata/v0"

// TestBreakName: nothing of a name is lost, and no part is too wide.
func TestBreakName(t *testing.T) {
	for name, want := range map[string][]string{
		"op/p50":                               {"op/p50"},
		"lookup.syscall/p50 (instructions/op)": {"lookup.syscall/p50", "(instructions/", "op)"},
		"throughput/ops_per_s (ops/s)":         {"throughput/ops_per_s", "(ops/s)"},
		"limbo/byte_seconds_per_death":         {"limbo/byte_seconds_", "per_death"},
		strings.Repeat("x", 45):                {strings.Repeat("x", 20), strings.Repeat("x", 18), strings.Repeat("x", 7)},
	} {
		width := 20
		if strings.Contains(name, "instr") {
			width = 18
		}
		got := breakName(name, width)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, not %q", name, got, want)
		}
		if all := strings.Join(got, ""); strings.ReplaceAll(all, " ", "") != strings.ReplaceAll(name, " ", "") {
			t.Errorf("%s became %s", name, all)
		}
	}
}

// TestScreens: what the commands print of stored runs fits terminals of 60, 80 and 100
// columns, and wherever a column is left out or a name cut, the screen says so.
func TestScreens(t *testing.T) {
	dir := func(name string) string { return filepath.Join(stored, name) }
	run := func(name string) func(io.Writer, Options) error {
		return func(w io.Writer, o Options) error {
			l, err := model.Load(dir(name))
			if err != nil {
				return err
			}
			o.Dir = "mapprof-runs/" + name
			if err := WriteTable(w, l.Run, o); err != nil {
				return err
			}
			return WriteSketch(w, l, o)
		}
	}
	comparison := func(by string, names ...string) func(io.Writer, Options) error {
		return func(w io.Writer, o Options) error {
			var dirs []string
			for _, n := range names {
				dirs = append(dirs, dir(n))
			}
			_, inputs, err := compare.Open(dirs)
			if err != nil {
				return err
			}
			for i := range inputs {
				inputs[i].Name = names[i]
			}
			c, err := compare.Runs(inputs, compare.Options{By: by, Force: true})
			if err != nil {
				return err
			}
			return WriteComparison(w, c, o)
		}
	}
	screens := map[string]func(io.Writer, Options) error{
		"report-churn":        run("churn"),
		"report-churn-icount": run("churn-icount"),
		"report-lookup":       run("lookup"),
		"report-bigarray":     run("bigarray"),
		"compare-strategies":  comparison(compare.ByStrategy, "churn"),
		"compare-runs":        comparison(compare.ByRun, "churn", "churn-icount"),
		"compare-lookups":     comparison(compare.ByRun, "lookup", "lookup"),
		"gate": func(w io.Writer, o Options) error {
			return WriteVerdict(w, gate.JudgeRuns(dir("churn-icount"), dir("churn-icount"), "", gate.DefaultPolicy()), o)
		},
		"gate-inconclusive": func(w io.Writer, o Options) error {
			return WriteVerdict(w, gate.JudgeRuns(dir("churn"), dir("churn-icount"), "", gate.DefaultPolicy()), o)
		},
	}
	for name, v := range verdicts(t) {
		screens["made-up-"+name] = func(w io.Writer, o Options) error { return WriteVerdict(w, v, o) }
	}
	for name, c := range comparisons(t) {
		screens["made-up-"+name] = func(w io.Writer, o Options) error { return WriteComparison(w, c, o) }
	}
	for name, write := range screens {
		for _, width := range []int{60, 80, 100} {
			t.Run(fmt.Sprintf("%s %d", name, width), func(t *testing.T) {
				var b bytes.Buffer
				if err := write(&b, Options{Width: width, Brief: true}); err != nil {
					t.Fatal(err)
				}
				fixture.CheckText(t, b.String(), width, false)
				if !strings.HasPrefix(name, "made-up-") || name == "made-up-gate-regression" || name == "made-up-compare-three" {
					golden.Check(t, fmt.Sprintf("testdata/screen-%s-%d.golden", name, width), b.String())
				}
			})
		}
	}
}
