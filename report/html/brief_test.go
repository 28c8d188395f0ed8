// SPDX-License-Identifier: Apache-2.0

package html

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// tableRows are the rows of a page's main figures, each without its markup.
func tableRows(t *testing.T, page string) (rows []string) {
	t.Helper()
	_, table, ok := strings.Cut(page, "<h2>Main figures</h2>")
	if !ok {
		t.Fatal("no table of the main figures")
	}
	table, _, _ = strings.Cut(table, "</section>")
	for _, row := range strings.Split(table, "<tr")[1:] {
		if strings.Contains(row, `>scenario<`) {
			continue
		}
		row, _, _ = strings.Cut(row, "</tr>")
		rows = append(rows, strings.TrimSpace(regexp.MustCompile(`<[^>]*>`).ReplaceAllString("<tr"+strings.ReplaceAll(row, "</t", "|</t"), "")))
	}
	return rows
}

// TestBriefPage: a scenario more than can be drawn, and each has a row, nothing a chart.
func TestBriefPage(t *testing.T) {
	run := fixture.Many["parameter"](model.MaxDrawn + 1)
	lost, pending, other, nothing := &run.Scenarios[1], &run.Scenarios[2], &run.Scenarios[3], &run.Scenarios[4]
	lost.Trials[0].Lost, lost.Trials[0].Freed = 2, 298
	pending.Trials[0].Pending = &results.Pending{N: 3, MinNS: 5e6}
	other.Strategy.Observed, other.Strategy.Paths = "tasks-trace", map[string]uint64{"tasks-trace": 300}
	nothing.Phases = nil
	run.Scenarios[5] = fixture.Lookups(fixture.Kernel612, "ns")
	run.Scenarios[6].ID = fixture.EvilName
	page := renderHTML(t, &model.Loaded{Name: "run", Run: run})
	rows := tableRows(t, page)
	if want := model.MaxDrawn + 3; len(rows) != want { // the lookups have three
		t.Fatalf("%d rows, want %d", len(rows), want)
	}
	const figures = "limbo|300|14.6 ms|23.0 ms|24.1 ms|rcu_gp 98.8%|12.5 KiB in 16 maps|3.45 KiB·s|"
	for i, want := range map[int]string{
		0: "x0|" + figures + "sound|",
		1: "x1|" + figures + "2 lost|",
		2: "x2|" + figures + "pending: 3, ≥ 5.00 ms|",
		3: "x3|" + figures + "observed tasks-trace|",
		4: "x4|–|–|–|–|–||||sound|",
		5: "none|lookup/" + strings.ReplaceAll(fixture.Kernel612, "+", "&#43;") + "/none|inlined (per op)|97|2.64 ns|5.28 ns|7.92 ns||||sound|",
		6: "helper (per op)|97|27 ns|54 ns|81 ns|||||",
	} {
		if got := strings.ReplaceAll(rows[i], "\u00a0", " "); !strings.HasSuffix(got, want) {
			t.Errorf("row %d: %q, want %q", i, got, want)
		}
	}
	body, _, _ := strings.Cut(page, "<script")
	for _, bad := range []string{"Where the time goes", "How the tail looks", "Memory in limbo</h2>", "All figures", "What differs", `href="?`, "a freed map stays"} {
		if strings.Contains(body, bad) {
			t.Errorf("%q in the page", bad)
		}
	}
	for _, want := range []string{"501 scenarios are too many for charts", "mapprof report DIR --scenario=ID -o FILE", "&lt;script&gt;alert(1)", "Target and knobs", "1 of 501 took another way"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	if data := dataOf(t, page); len(data.Plots) > 0 || data.Flame != nil {
		t.Error("data of charts in a page without any")
	}
	run.Scenarios = run.Scenarios[:model.MaxDrawn]
	if page := renderHTML(t, &model.Loaded{Name: "run", Run: run}); strings.Contains(page, "too many for charts") || !strings.Contains(page, "All figures") {
		t.Error("no charts of as many as can be drawn")
	}
}

// TestBriefLinks: each scenario leads to its own page, of the runs that are shown.
func TestBriefLinks(t *testing.T) {
	run := fixture.Many["parameter"](model.MaxDrawn + 1)
	run.Scenarios[0].ID = "a b&c=d"
	for clear, want := range map[string]string{"/run/1": "?scenario=", "/compare?base=1&run=1&run=2": "?base=1&amp;run=1&amp;run=2&amp;scenario="} {
		var page bytes.Buffer
		if err := WriteLive(&page, []*model.Loaded{{Name: "run", Run: run}}, model.Filter{}, "", &LiveLinks{ClearHref: clear}); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"a&#43;b%26c%3Dd", "a+b%26c%3Dd"} { // as it may be escaped
			if n := strings.Count(page.String(), fmt.Sprintf(`<a href="%s%s">`, want, id)); n == 1 {
				want = ""
				break
			}
		}
		if want != "" || strings.Count(page.String(), "scenario=") != len(run.Scenarios) || strings.Contains(page.String(), "--scenario") {
			t.Errorf("%s: the links are not there", clear)
		}
	}
}

// TestBriefComparison: two runs of many scenarios are compared by their main figures.
func TestBriefComparison(t *testing.T) {
	run := fixture.Many["parameter"](model.MaxDrawn/2 + 1)
	page := renderHTML(t, &model.Loaded{Name: "a", Run: run}, &model.Loaded{Name: "b", Run: run})
	if rows := tableRows(t, page); len(rows) != 2*len(run.Scenarios) {
		t.Errorf("%d rows of two runs with %d scenarios", len(rows), len(run.Scenarios))
	}
	_, table, _ := strings.Cut(page, "What differs")
	table, _, _ = strings.Cut(table, "</section>")
	if n := strings.Count(table, "<tr>"); n != 1+len(run.Scenarios) || !strings.Contains(table, `class="scroll part"`) || !strings.Contains(table, "limbo/p99") || strings.Contains(table, "Every figure") {
		t.Errorf("%d rows of comparison", n)
	}
	run.Scenarios = append(run.Scenarios, fixture.Many["parameter"](1000).Scenarios[300:]...)
	other := *run
	other.Scenarios = run.Scenarios[:100]
	page = renderHTML(t, &model.Loaded{Name: "a", Run: run}, &model.Loaded{Name: "b", Run: &other})
	if n := strings.Count(page, "is compared with nothing"); n != mostNamed || !strings.Contains(page, "more of these are told by mapprof compare") {
		t.Errorf("%d scenarios without another are named", n)
	}
}

// TestTooManyScenarios: one more than a page has is refused before anything is written.
func TestTooManyScenarios(t *testing.T) {
	run := fixture.Many["parameter"](maxScenarios/2 + 1)
	var page bytes.Buffer
	err := Write(&page, []*model.Loaded{{Name: "a", Run: run}, {Name: "b", Run: run}})
	if err == nil || !strings.Contains(err.Error(), "a page of 65538 scenarios is more than a browser shows: it has up to 65536 (mapprof report without -o prints all, --scenario=ID one)") || page.Len() > 0 {
		t.Errorf("%v, and %d bytes", err, page.Len())
	}
}
