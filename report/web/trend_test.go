// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/report/internal/fixture"
)

// nightly writes a run for each of 14 nights, of which those from the eighth on
// have grace periods of half the length, and one elsewhere.
func nightly(t *testing.T, root string) {
	t.Helper()
	small := fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies, Deaths: 20}
	for i := range 14 {
		if small.Slow = 1; i >= 7 {
			small.Slow = 0.5
		}
		small.Started = time.Date(2026, 5, 1+i, 3, 0, 0, 0, time.UTC)
		small.Write(t, filepath.Join(root, "nightly", fmt.Sprintf("n%02d", 30-i))) // not in the order of names
	}
	small.Started = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	small.Write(t, filepath.Join(root, "single"))
}

// TestTrend: a figure's runs stand in the order of their time, with the run where
// it changed, and what is chosen is in the address.
func TestTrend(t *testing.T) {
	root := t.TempDir()
	nightly(t, root)
	web := newTestServer(t, root)
	web.KeepNotes(filepath.Join(root, "notes.json"))
	h := web.Handler(anyHost)
	eighth := idOf(t, web, "nightly/n23")
	if code, _, _ := post(t, h, "/run/"+eighth+"/note", url.Values{"label": {"faster"}}); code != 303 {
		t.Fatal(code)
	}
	code, header, body := get(t, h, "/trend?dir=nightly")
	if code != 200 || !strings.Contains(body, "<h1>limbo/p50 over the runs</h1>") {
		t.Fatalf("%d %.300s", code, body)
	}
	charts := strings.Split(body, "<h2>")[1:]
	if len(charts) != 2 {
		t.Fatalf("%d charts, want one for each strategy", len(charts))
	}
	for i, c := range charts {
		if n := strings.Count(c, `class="dot"`); n != 14 {
			t.Errorf("chart %d has %d dots", i, n)
		}
		if n := strings.Count(c, `class="point better"`); n != 1 {
			t.Errorf("chart %d has %d marks of a change", i, n)
		}
		if !strings.Contains(c, ">2026-05-01</text>") || !strings.Contains(c, ">2026-05-14</text>") {
			t.Errorf("chart %d doesn't say from when to when it is", i)
		}
		var order []string
		for _, row := range regexp.MustCompile(`<tr><th scope="row"><a href="/run/([0-9a-f]+)">([^<]*)</a>.*?</tr>`).FindAllStringSubmatch(c, -1) {
			order = append(order, row[2])
			changed := strings.Contains(row[0], `<span class="tag ok">better</span> −`)
			if changed != (row[1] == eighth) || changed != (row[2] == "faster") {
				t.Errorf("chart %d: %s", i, row[0])
			}
			if changed && !strings.Contains(row[0], "nothing else is new with it") {
				t.Errorf("what was new with the change isn't said: %s", row[0])
			}
		}
		if got := strings.Join(order, " "); got != strings.ReplaceAll("N/n30 N/n29 N/n28 N/n27 N/n26 N/n25 N/n24 faster N/n22 N/n21 N/n20 N/n19 N/n18 N/n17", "N", "nightly") {
			t.Errorf("chart %d: the runs are %s", i, got)
		}
	}
	if code, _, _ := get(t, h, "/trend?dir=nightly", knows(header.Get("Etag"))); code != 304 {
		t.Errorf("a browser that has the page: %d", code)
	}
	q := url.QueryEscape(fixture.EvilName)
	scenario := regexp.MustCompile(`<option value="([^"]* rcu ·[^"]*)"`).FindStringSubmatch(body)
	if scenario == nil {
		t.Fatalf("no scenario can be chosen: %s", regexp.MustCompile(`(?s)<select.*</select>`).FindString(body))
	}
	for at, want := range map[string]string{
		"/trend":                     "15 runs from 2026-05-01 to 2026-06-01",
		"/trend?dir=.":               "1 run: too few",
		"/trend?run=" + eighth:       `name="run" value="` + eighth + `"`,
		"/trend?metric=limbo%2Fp99":  `value="limbo/p99" selected`,
		"/trend?metric=" + q:         "None of these runs has this figure",
		"/trend?scenario=" + q:       "None of these runs has this figure",
		"/trend?dir=nightly&metric=": `href="/history?dir=nightly"`,
		"/history?dir=nightly":       "14 runs from",
		"/trend?scenario=" + url.QueryEscape(strings.ReplaceAll(scenario[1], "&#43;", "+")): `selected>` + scenario[1],
		"/": `formaction="/trend"`,
	} {
		code, _, body := get(t, h, at)
		if code != 200 || !strings.Contains(body, want) || strings.Contains(body, "<script>alert") {
			t.Errorf("%s: %d, without %q", at, code, want)
		}
		if strings.HasPrefix(at, "/trend?scenario=") && strings.Count(body, "<h2>") > 1 {
			t.Errorf("%s shows another scenario too", at)
		}
	}
	for _, at := range []string{"/trend?run=xyz", "/trend?dir=" + q, "/history?dir=no"} {
		if code, _, _ := get(t, h, at); code != 404 {
			t.Errorf("%s: %d", at, code)
		}
	}
	if n := len(web.histories); n == 0 || n > maxHistories {
		t.Errorf("%d histories are kept", n)
	}
}

// TestTrendNotMadeAgain: a history is made once for as long as nothing changes.
func TestTrendNotMadeAgain(t *testing.T) {
	root := t.TempDir()
	nightly(t, root)
	web := newTestServer(t, root)
	found, _ := web.store.list()
	chosen, left := chosenRuns(found, url.Values{})
	if len(chosen) != 15 || left != 0 || chosen[0].Name != "nightly/n30" {
		t.Fatalf("%d runs, %d left out, the first is %s", len(chosen), left, chosen[0].Name)
	}
	one, err := web.historyOf(chosen, firstFigure)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := web.historyOf(chosen, firstFigure); err != nil || again != one {
		t.Errorf("the same runs' history was made again: %v", err)
	}
	if other, err := web.historyOf(chosen[1:], firstFigure); err != nil || other == one || len(other.history.Runs) != 14 {
		t.Errorf("other runs have the same history: %v", err)
	}
	many := make([]*foundRun, maxHistory+3)
	for i := range many {
		many[i] = &foundRun{ID: fmt.Sprint(i)}
	}
	if chosen, left := chosenRuns(many, url.Values{}); len(chosen) != maxHistory || left != 3 || chosen[maxHistory-1] != many[0] {
		t.Errorf("of %d runs %d are shown and %d left out", len(many), len(chosen), left)
	}
}

// TestContradictoryRun: one run whose figures contradict each other is left out of a
// history and a trend, which say so; the other runs keep their addresses.
func TestContradictoryRun(t *testing.T) {
	root := t.TempDir()
	nightly(t, root)
	fixture.Evil(t, filepath.Join(root, "evil"))
	web := newTestServer(t, root)
	h := web.Handler(anyHost)
	for _, path := range []string{"/history", "/trend"} {
		code, _, body := get(t, h, path)
		if code != 200 || strings.Count(body, "left out: run evil: ") != 1 || strings.Contains(body, "<img") {
			t.Errorf("%s: %d, %d times left out", path, code, strings.Count(body, "left out: "))
		}
	}
	_, _, body := get(t, h, "/trend")
	rows := regexp.MustCompile(`<tr><th scope="row"><a href="/run/([0-9a-f]+)">([^<]*)</a>`).FindAllStringSubmatch(body, -1)
	for _, row := range rows {
		if id := idOf(t, web, row[2]); id != row[1] {
			t.Errorf("%s leads to %s, want %s", row[2], row[1], id)
		}
	}
	if len(rows) < 14 {
		t.Errorf("%d rows", len(rows))
	}
	// Where no run is left, its contradiction is the answer.
	if code, _, body := get(t, h, "/trend?run="+idOf(t, web, "evil")); code != 500 || !strings.Contains(body, "run evil") {
		t.Errorf("%d %.200s", code, body)
	}
}
