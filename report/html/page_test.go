// SPDX-License-Identifier: Apache-2.0

package html

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

func loadFixture(t testing.TB, f fixture.Churn) *model.Loaded {
	t.Helper()
	l, err := model.Load(f.WriteTemp(t))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func renderHTML(t testing.TB, runs ...*model.Loaded) string {
	t.Helper()
	var buf bytes.Buffer
	if err := Write(&buf, runs); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestWrite(t *testing.T) {
	l := loadFixture(t, fixture.Churn{Kernels: fixture.TwoKernels, Strategies: fixture.TwoStrategies, Trials: 2, Deaths: 200})
	page := renderHTML(t, l)
	for _, want := range []string{
		"On 6.12.117 a freed map stays in memory", "when a sleepable program uses its outer map",
		"Where the time goes", "How the tail looks", "Memory in limbo", "Who dropped the maps", "What differs", "All figures", "Target and knobs",
		"[phase] tasks_trace_gp", "rcupdate/parameters/rcu_expedited", "1 not attached", "Copyright (c) 2022 Leon Sorokin",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	figure := regexp.MustCompile(`<data class="figure [^"]*" value="(\d+)" data-scenario="([^"]*)">([^<]*)</data>`)
	found := figure.FindAllStringSubmatch(page, -1)
	if len(found) != 4 {
		t.Fatalf("%d figures in the headlines, want 4", len(found))
	}
	for _, m := range found {
		s := l.Run.Find(strings.ReplaceAll(m[2], "&#43;", "+"))
		if s == nil {
			t.Fatalf("headline of %s, which isn't there", m[2])
		}
		p50 := s.Phases[results.PhaseLimbo].P50NS
		if m[1] != strconv.FormatInt(p50, 10) || m[3] != model.FormatDuration(float64(p50)) {
			t.Errorf("%s: headline says %s (%s), run.json %d", s.ID, m[1], m[3], p50)
		}
	}
	if i := regexp.MustCompile(`(?:src|href)="?(?:https?:)?//`).FindString(page); i != "" {
		t.Errorf("the page asks for something elsewhere: %s", i)
	}
	if strings.Contains(page, ` style="`) {
		t.Error("a style attribute, which the page's own policy forbids")
	}
}

// TestPolicy checks that the hashes in a file's policy are those of its own
// script and style as they came out of the template.
func TestPolicy(t *testing.T) {
	page := renderHTML(t, loadFixture(t, fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies, Deaths: 20}))
	for _, tag := range []string{"script", "style"} {
		_, rest, ok := strings.Cut(page, "<"+tag+">")
		body, _, _ := strings.Cut(rest, "</"+tag+">")
		hash := strings.ReplaceAll(sourceHash(body), "+", "&#43;")
		if !ok || !strings.Contains(page, tag+"-src &#39;"+hash+"&#39;") {
			t.Errorf("the policy doesn't allow the page's %s (%s)", tag, hash)
		}
	}
}

func TestEveryChartIsWellFormed(t *testing.T) {
	l := loadFixture(t, fixture.Churn{Kernels: fixture.FourKernels, Strategies: fixture.FourStrategies, Deaths: 100})
	p, err := newPage([]*model.Loaded{l}, model.Filter{}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{"bars": string(p.BarsTime), "shares": string(p.BarsShare), "memory": string(p.Memory.HTML), "flame": string(p.Flame)}
	for _, c := range p.Percentiles {
		parts["percentiles "+c.Phase] = string(c.HTML)
	}
	for _, c := range p.Ridges {
		parts["distribution "+c.Phase] = string(c.HTML)
	}
	if len(parts) < 12 {
		t.Errorf("only %d charts", len(parts))
	}
	for name, part := range parts {
		d := xml.NewDecoder(strings.NewReader(part))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
		}
		if i := strings.Index(part, "NaN"); i >= 0 {
			t.Errorf("%s: NaN", name)
		}
	}
}

func TestEvilNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), fixture.EvilName[:8])
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	fixture.Evil(t, dir)
	l, err := model.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	page := renderHTML(t, l)
	if n := strings.Count(page, "<script"); n != 2 { // the data and the script
		t.Errorf("%d scripts in the page, want 2", n)
	}
	for _, bad := range []string{"<script>alert", "<img", "</script>\"'>"} {
		if strings.Contains(page, bad) {
			t.Errorf("%q in the page", bad)
		}
	}
	if !strings.Contains(page, "&lt;script&gt;alert(1)") {
		t.Error("the name isn't shown at all")
	}
	data := dataOf(t, page)
	if !slices.ContainsFunc(data.Flame.Frames, func(f string) bool { return strings.Contains(f, "<script>alert(1)") }) {
		t.Error("the script's data has another name than the profile")
	}
}

// dataOf takes the script's data out of a page.
func dataOf(t *testing.T, page string) pageData {
	t.Helper()
	_, rest, _ := strings.Cut(page, `<script type="application/json" id="data">`)
	body, _, ok := strings.Cut(rest, "</script>")
	var data pageData
	if err := json.Unmarshal([]byte(body), &data); !ok || err != nil {
		t.Fatalf("the page's data: %v", err)
	}
	return data
}

// TestLargeReport holds a report of 4 kernels × 4 strategies × 100,000 deaths to 2 MB,
// and to a small multiple of the time that a hundredth of the deaths takes: it is made
// of what their figures are, not of them.
func TestLargeReport(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 1,600,000 deaths")
	}
	var took [2]time.Duration
	for i, deaths := range []int{1_000, 100_000} {
		dir := filepath.Join(t.TempDir(), "run")
		fixture.Churn{Kernels: fixture.FourKernels, Strategies: fixture.FourStrategies, Deaths: deaths, NoDeaths: true}.Write(t, dir)
		var page string
		for range 3 { // the least of them: others have the CPU, too
			start := time.Now()
			l, err := model.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			page = renderHTML(t, l)
			if d := time.Since(start); took[i] == 0 || d < took[i] {
				took[i] = d
			}
			if len(l.Run.Scenarios) != 16 || model.Deaths(&l.Run.Scenarios[0]) != uint64(deaths) {
				t.Fatal("that wasn't the run")
			}
		}
		t.Logf("%d deaths: %d bytes in %v", 16*deaths, len(page), took[i])
		if len(page) >= 2_000_000 {
			t.Errorf("the report has %d bytes", len(page))
		}
	}
	if took[1] > 5*took[0] {
		t.Errorf("the report took %v, with a hundredth of the deaths %v", took[1], took[0])
	}
}

// TestDamaged checks that what can't be read is said, and the rest is shown.
func TestDamaged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies, Deaths: 20}.Write(t, dir)
	for _, name := range []string{results.HistogramsFile, results.ProfileFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("Tag=x,1,2,3,HISTF\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l, err := model.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	page := renderHTML(t, l)
	for _, want := range []string{"the histograms of this run can&#39;t be shown", "the profile of this run can&#39;t be shown", "a freed map stays in memory"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, results.RunFile), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	var corrupt *results.CorruptError
	if _, err := model.Load(dir); !errors.As(err, &corrupt) {
		t.Errorf("a damaged run.json: %v", err)
	}
}

func TestEmptyRun(t *testing.T) {
	l := &model.Loaded{Name: "empty", Run: &results.Run{Targets: []results.Target{{}}, Scenarios: []results.Scenario{
		{ID: "a", Kernel: "6.12", Strategy: results.Strategy{Requested: "rcu"}}}}}
	page := renderHTML(t, l)
	if !strings.Contains(page, "no map was seen to be freed") {
		t.Error("the page doesn't say that there is nothing")
	}
	if strings.Contains(page, "NaN") || strings.Contains(page, ">0 ns<") {
		t.Error("no data became a figure")
	}
	if err := Write(io.Discard, nil); !errors.Is(err, ErrNoRuns) {
		t.Errorf("no runs: %v", err)
	}
}

// A page of lookups speaks of what they cost, and of no limbo.
func TestLookupPage(t *testing.T) {
	sc := fixture.Lookups(fixture.Kernel612, "ns")
	sc.Trials[0].Findings = []string{"all <elements> were found"}
	l := &model.Loaded{Name: "lookups", Run: fixture.NewRun(sc)}
	page := renderHTML(t, l)
	body, _, _ := strings.Cut(page, "<script")
	for _, want := range []string{
		"a lookup costs ", `value="2.64" data-scenario="lookup/6.12.117&#43;deb12-cloud-amd64/none">2.64 ns</data> by path inlined`,
		">27 ns</data> by path helper", ">2.78 µs</data> by path syscall",
		"the probe adds 579 ns to path helper and 877 ns to path syscall", "<td>225 ns</td><td>579 ns</td>",
		"How the costs were measured", "<dt>probe.helper, probe.syscall</dt><dd>with the probe, less the median without</dd>",
		"all &lt;elements&gt; were found", "nothing was to be freed",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	_, body, _ = strings.Cut(body, "<main")
	for _, bad := range []string{
		"no map was seen to be freed", "a freed map stays", ">strategy<", ">deaths<", "share of limbo", "Where the time goes",
		"How the tail looks", "Memory in limbo", "Who dropped the maps", "0 puts", "Pending", "NaN", "<svg",
	} {
		if strings.Contains(body, bad) {
			t.Errorf("%q in a page of lookups", bad)
		}
	}
	if data := dataOf(t, page); len(data.Plots) > 0 || data.Flame != nil {
		t.Errorf("charts of nothing: %+v", data)
	}
	if page := renderHTML(t, &model.Loaded{Name: "interrupted", Run: fixture.InterruptedLookups()}); !strings.Contains(page, "no lookup was measured") {
		t.Error("a run that was ended early doesn't say that there is nothing")
	}
}

// What a workload found to be wrong is a problem at the top of the page.
func TestFailurePage(t *testing.T) {
	sc := fixture.RCU(fixture.Kernel612)
	sc.Trials[0].Failures = []string{"addressing: FAIL: index 5 answered with element 0"}
	page := renderHTML(t, &model.Loaded{Name: "failed", Run: fixture.NewRun(sc)})
	if !strings.Contains(page, `<li class="alert bad"><span class="mark">Problem</span><span>`+sc.ID[:5]) || !strings.Contains(page, "addressing: FAIL: index 5 answered with element 0") {
		t.Error("the page doesn't say that addressing failed")
	}
}

// Of two kernels of one release the page names both.
func TestTwoKernelsOfOneRelease(t *testing.T) {
	if !strings.Contains(renderHTML(t, &model.Loaded{Name: "run", Run: fixture.TwoKernelsOfOneRelease()}), fixture.Kernel612+"#2") {
		t.Error("the page doesn't name the second kernel")
	}
}
