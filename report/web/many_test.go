// SPDX-License-Identifier: Apache-2.0

package web

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/report/model"
)

// TestManyScenarios: a run with more scenarios than charts can show has a row for each,
// and a page for each with its charts.
func TestManyScenarios(t *testing.T) {
	root := t.TempDir()
	for seed, name := range []string{"a", "b"} {
		if err := synthetic.WriteMany(filepath.Join(root, name), model.MaxDrawn+1, uint64(seed), true); err != nil {
			t.Fatal(err)
		}
	}
	web := newTestServer(t, root)
	a, b := idOf(t, web, "a"), idOf(t, web, "b")
	h := web.Handler(anyHost)
	const chart = `id="pct-limbo-0"`
	for _, c := range []struct {
		path      string
		links     int // to scenarios, and to the same one from the other side
		with, not []string
	}{
		{"/run/" + a, model.MaxDrawn + 1, []string{"501 scenarios are too many for charts", `<a href="?scenario=churn%2F7">slots 8</a>`}, []string{chart, `name="scenario"`}},
		{"/run/" + a + "?scenario=churn/7", 0, []string{chart, "500 scenarios are filtered out", "All figures", `<option value="churn/7" selected>`, `<a href="/run/` + a + `" data-keep>Show all</a>`},
			[]string{"too many", `<option value="churn/8"`}},
		{"/run/" + a + "?scenario=none", 0, []string{"No scenario fits the filter"}, []string{chart, `<option value="churn/8"`}},
		{"/compare?run=" + a + "&run=" + b + "&base=" + a, 2 * (model.MaxDrawn + 1), []string{"1002 scenarios are too many", "&amp;scenario=churn%2F7\">"}, []string{chart}},
		{"/compare?run=" + a + "&run=" + b + "&base=" + a + "&scenario=churn/7", 1, []string{chart, "Swap sides", "1000 scenarios are filtered out", "Every figure"}, []string{"too many"}},
		{"/run/" + a + "/report.html", 0, []string{"--scenario=ID", "churn/7"}, []string{chart, `<a href="?`}},
	} {
		code, _, body := get(t, h, c.path)
		if n := strings.Count(body, "scenario=churn%2F"); code != 200 || n != c.links {
			t.Errorf("%s: %d, %d links to scenarios, want %d", c.path, code, n, c.links)
		}
		for _, text := range c.with {
			if !strings.Contains(body, text) {
				t.Errorf("%s: no %q", c.path, text)
			}
		}
		for _, text := range c.not {
			if strings.Contains(body, text) {
				t.Errorf("%s: %q", c.path, text)
			}
		}
	}
}
