// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/internal/golden"
	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/results"
)

// manyFigures is a run as bigarray's: accesses by five paths, with parts and probes.
func manyFigures(strategies ...string) *results.Run {
	var all []results.Scenario
	for _, strategy := range strategies {
		s := fixture.RCU("6.12.9")
		if strategy == "immediate" {
			s = fixture.Immediate("6.12.9")
		}
		s.Metrics = map[string]results.Metric{}
		for i, path := range []string{"syscall", "helper", "inlined", "batch", "mmap"} {
			for _, kind := range []string{"lookup.", "update.", "probe."} {
				s.Metrics[kind+path] = results.Metric{Unit: "ns/op", N: 100, P50: float64(100 + i), P90: 200, P99: 300, Max: 400}
			}
			s.Metrics["lookup."+path+".function"] = results.Metric{Unit: "ns/op", N: 100, P50: 50, P90: 60, P99: 70, Max: 80}
		}
		for i, name := range []string{"create", "create.area_alloc", "free.total", "free.vfree", "memory.held", "zero"} {
			s.Metrics[name] = results.Metric{Unit: "ns", N: 1, P50: 1e6 * float64(i+1), Max: 1e6 * float64(i+1)}
		}
		s.Trials[0].Findings = []string{"addressing: ok: 2000 elements", "addressing: ok: inner array", "addressing: FAIL: element 7"}
		all = append(all, s)
	}
	return fixture.NewRun(all...)
}

// TestBrief: a run of many figures is a screenful unless all are asked for, says what it
// leaves out, and leaves out no proof that failed.
func TestBrief(t *testing.T) {
	table := func(run *results.Run, o Options) string {
		var b bytes.Buffer
		if err := WriteTable(&b, run, o); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for _, width := range []int{60, 80, 100} {
		text := table(manyFigures("rcu"), Options{Width: width, Brief: true, Dir: "DIR"}) + "\n" + table(manyFigures("rcu", "immediate"), Options{Width: width, Brief: true})
		golden.Check(t, fmt.Sprintf("testdata/brief-%d.golden", width), text)
		for line := range strings.Lines(text) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > width {
				t.Errorf("%d columns: %d: %s", width, n, line)
			}
		}
	}
	one := table(manyFigures("rcu"), Options{Width: 100, Brief: true, Dir: "DIR"})
	if n := strings.Count(one, "\n"); n > 40 {
		t.Errorf("%d lines:\n%s", n, one)
	}
	for _, want := range []string{"addressing: FAIL: element 7", "addressing: ok, 2 proofs", "-v tells all percentiles, 12 figures of details", "free.total", "zero"} {
		if !strings.Contains(one, want) {
			t.Errorf("no %q in\n%s", want, one)
		}
	}
	full := table(manyFigures("rcu"), Options{Width: 100, Dir: "DIR"})
	for _, want := range []string{"probe.syscall", "lookup.mmap.function", "create.area_alloc", "2000 elements"} {
		if strings.Contains(one, want) || !strings.Contains(full, want) {
			t.Errorf("%s in brief: %v, in full: %v", want, strings.Contains(one, want), strings.Contains(full, want))
		}
	}
	few := fixture.NewRun(fixture.RCU("6.12.9"))
	if a, b := table(few, Options{Brief: true}), table(few, Options{}); a != b {
		t.Errorf("a run of few figures differs in brief:\n%s\n%s", a, b)
	}
}
