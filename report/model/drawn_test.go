// SPDX-License-Identifier: Apache-2.0

package model

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/results"
)

// TestDrawn: of a run with more scenarios than charts can show the curves are read for
// those that are looked at, and are the same as those of a smaller run.
func TestDrawn(t *testing.T) {
	load := func(n int) *Loaded {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "run")
		if err := synthetic.WriteMany(dir, n, 1, true); err != nil {
			t.Fatal(err)
		}
		l, err := Load(dir)
		if err != nil || len(l.Notes) > 0 {
			t.Fatal(err, l.Notes)
		}
		return l
	}
	few, many := load(2), load(MaxDrawn+1)
	if few.TooMany() || !many.TooMany() || many.curves != nil {
		t.Fatalf("too many of 2: %v, of %d: %v", few.TooMany(), MaxDrawn+1, many.TooMany())
	}
	const id = "churn/1"
	one := Filter{Scenario: id}
	if all := many.Drawn(Filter{}); all != many {
		t.Error("more were drawn than can be")
	}
	if few.Drawn(one) != few {
		t.Error("curves were read twice")
	}
	drawn := many.Drawn(one)
	if drawn.TooMany() || len(drawn.curves) != 1 || len(drawn.curves[id]) == 0 || !reflect.DeepEqual(drawn.curves[id], few.curves[id]) {
		t.Errorf("curves of %d scenarios", len(drawn.curves))
	}
	if many.curves != nil || len(drawn.Run.Scenarios) != MaxDrawn+1 {
		t.Error("the run was changed")
	}
	only := many.Only(one)
	if len(only.Run.Scenarios) != 1 || only.Run.Scenarios[0].ID != id || only.TooMany() || len(many.Run.Scenarios) != MaxDrawn+1 {
		t.Errorf("%d scenarios in place of one", len(only.Run.Scenarios))
	}
	if none := many.Only(Filter{Scenario: "none"}); len(none.Run.Scenarios) != 0 || len(none.Notes) > 0 {
		t.Errorf("%d scenarios of none, %q", len(none.Run.Scenarios), none.Notes)
	}
	// What can't be read any more is noted where it is missing.
	if err := os.Remove(filepath.Join(many.dir.Path, results.HistogramsFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(many.dir.Path, results.HistogramsFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if drawn := many.Drawn(one); len(drawn.Notes) != 1 || !strings.HasPrefix(drawn.Notes[0], "the histograms of this run can't be shown") || len(many.Notes) > 0 {
		t.Errorf("%q", drawn.Notes)
	}
	damaged, err := Load(many.dir.Path)
	if err != nil || len(damaged.Notes) != 1 {
		t.Fatal(err, damaged.Notes)
	}
	if drawn := damaged.Drawn(one); len(drawn.Notes) != 1 {
		t.Errorf("%q", drawn.Notes)
	}
}

// TestOnlyOwnWarnings: of the strategies that another was taken for, those of the others
// are left out.
func TestOnlyOwnWarnings(t *testing.T) {
	run := fixture.NewRun(fixture.RCU("6.1"), fixture.RCU("6.6"))
	for i := range run.Scenarios {
		s := &run.Scenarios[i]
		s.Strategy.Observed, s.Strategy.Paths = "tasks-trace", map[string]uint64{"tasks-trace": 300}
		s.Loss = map[string]uint64{"ring_full": uint64(i + 1)}
	}
	mismatches := analyze.Mismatches(run)
	run.Warnings = append(mismatches, "another")
	only := (&Loaded{Run: run}).Only(Filter{Kernel: "6.6"}).Run
	if want := []string{mismatches[1], "another"}; !slices.Equal(only.Warnings, want) || only.Loss["ring_full"] != 2 || len(run.Warnings) != 3 {
		t.Errorf("%q, want %q; loss %v", only.Warnings, want, only.Loss)
	}
}
