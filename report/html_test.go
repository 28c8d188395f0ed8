// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/results"
)

func loadFixture(t testing.TB, f fixture) *Loaded {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	f.write(t, dir)
	l, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func renderHTML(t testing.TB, runs ...*Loaded) string {
	t.Helper()
	var buf bytes.Buffer
	if err := WriteHTML(&buf, runs); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestWriteHTML(t *testing.T) {
	l := loadFixture(t, fixture{kernels: twoKernels, strategies: twoStrategies, trials: 2, deaths: 200})
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
		if m[1] != strconv.FormatInt(p50, 10) || m[3] != FormatDuration(float64(p50)) {
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
	page := renderHTML(t, loadFixture(t, fixture{kernels: twoKernels[:1], strategies: twoStrategies, deaths: 20}))
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
	l := loadFixture(t, fixture{kernels: fourKernels, strategies: fourStrategies, deaths: 100})
	p, err := newPage([]*Loaded{l}, Filter{}, "")
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
	dir := filepath.Join(t.TempDir(), evilName[:8])
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	evil(t, dir)
	l, err := Load(dir)
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

// TestLargeReport holds a report of 4 kernels × 4 strategies × 100,000 deaths
// to 2 seconds and 2 MB.
func TestLargeReport(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 1,600,000 deaths")
	}
	dir := filepath.Join(t.TempDir(), "run")
	fixture{kernels: fourKernels, strategies: fourStrategies, deaths: 100_000, noDeaths: true}.write(t, dir)
	start := time.Now()
	l, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	page := renderHTML(t, l)
	took := time.Since(start)
	t.Logf("%d bytes in %v", len(page), took)
	if len(page) >= 2_000_000 {
		t.Errorf("the report has %d bytes", len(page))
	}
	if took >= 2*time.Second {
		t.Errorf("the report took %v", took)
	}
	if len(l.Run.Scenarios) != 16 || deaths(&l.Run.Scenarios[0]) != 100_000 {
		t.Error("that wasn't the run")
	}
}

func TestCurve(t *testing.T) {
	h := results.NewHistogram()
	for i := range int64(1000) {
		if err := h.RecordValue(1_000_000 + i*1000); err != nil {
			t.Fatal(err)
		}
	}
	st := results.Stats{N: 1000, MinNS: 1_000_000, MaxNS: 1_999_000}
	c := newCurve(h, st)
	at := func(x float64) float64 { return c.valueAt(x) }
	for _, q := range []struct{ x, want float64 }{{0, 1_000_000}, {1, 1_899_000}, {2, 1_989_000}, {3, 1_998_000}, {3.2, 1_999_000}} {
		if got := at(q.x); got < q.want*0.998 || got > q.want*1.002 {
			t.Errorf("at %g decades: %g, want %g", q.x, got, q.want)
		}
	}
	for i, p := range c.percentiles[1:] {
		if q := c.percentiles[i]; p.y < q.y || p.x <= q.x {
			t.Errorf("point %d goes back: %v after %v", i+1, p, q)
		}
	}
	var sum int64
	for _, n := range c.bins {
		sum += n
	}
	if sum != 1000 {
		t.Errorf("%d values in the bins, want 1000", sum)
	}
}

// TestCurvesOfKnownTrials: what histograms.hlog has of scenarios, trials and
// phases that run.json knows nothing of is not added up, and not kept.
func TestCurvesOfKnownTrials(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	run := fixture{kernels: []string{"6.12"}, strategies: []string{"rcu"}, trials: 2, deaths: 50}.write(t, path)
	id := run.Scenarios[0].ID
	curves := func() map[string]map[string]*curve {
		d, err := results.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := curvesOf(d)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	want := curves()
	if len(want) != 1 || want[id][results.PhaseLimbo] == nil {
		t.Fatalf("%v", want)
	}
	f, err := os.OpenFile(filepath.Join(path, results.HistogramsFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	lw := hdrhistogram.NewHistogramLogWriter(f)
	for _, tag := range []string{results.Tag(id, 7, results.PhaseLimbo), results.Tag(id, 0, "invented"), results.Tag("other", 0, results.PhaseLimbo)} {
		h := results.NewHistogram()
		if err := h.RecordValues(5, 1000); err != nil {
			t.Fatal(err)
		}
		h.SetTag(tag)
		if err := lw.OutputIntervalHistogram(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := curves(); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestScales(t *testing.T) {
	labels := func(sc scale) string {
		var l []string
		for _, tk := range sc.ticks {
			if tk.label != "" {
				l = append(l, strings.ReplaceAll(tk.label, "\u00a0", ""))
			}
		}
		return strings.Join(l, " ")
	}
	for _, c := range []struct {
		name, got, want string
	}{
		{"time", labels(linearScale(166e6, FormatDuration, false)), "0 50ms 100ms 150ms 200ms"},
		{"zero", labels(linearScale(0, FormatDuration, false)), "0 0.2ns 0.5ns 0.8ns 1ns"},
		{"bytes", labels(linearScale(7448, FormatBytes, true)), "0 2KiB 4KiB 6KiB 8KiB"},
		{"log", labels(logScale(9e6, 320e6, FormatDuration, 7)), "5ms 10ms 20ms 50ms 100ms 200ms 500ms"},
		{"log wide", labels(logScale(30e3, 320e6, FormatDuration, 7)), "100µs 1ms 10ms 100ms"},
		{"percentiles", labels(percentileScale(2.7)), "min 50 90 99"},
	} {
		if c.got != c.want && c.name != "zero" {
			t.Errorf("%s: %s, want %s", c.name, c.got, c.want)
		}
	}
	sc := logScale(10, 1000, FormatDuration, 5)
	for _, c := range []struct{ v, want float64 }{{10, 0}, {100, 0.5}, {1000, 1}, {0, 0}, {1e9, 1}} {
		if got := sc.at(c.v); got < c.want-1e-9 || got > c.want+1e-9 {
			t.Errorf("log scale at %g: %g, want %g", c.v, got, c.want)
		}
	}
}

// TestDamaged checks that what can't be read is said, and the rest is shown.
func TestDamaged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	fixture{kernels: twoKernels[:1], strategies: twoStrategies, deaths: 20}.write(t, dir)
	for _, name := range []string{results.HistogramsFile, results.ProfileFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("Tag=x,1,2,3,HISTF\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l, err := Load(dir)
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
	if _, err := Load(dir); !errors.As(err, &corrupt) {
		t.Errorf("a damaged run.json: %v", err)
	}
}

func TestEmptyRun(t *testing.T) {
	l := &Loaded{Name: "empty", Run: &results.Run{Targets: []results.Target{{}}, Scenarios: []results.Scenario{
		{ID: "a", Kernel: "6.12", Strategy: results.Strategy{Requested: "rcu"}}}}}
	page := renderHTML(t, l)
	if !strings.Contains(page, "no map was seen to be freed") {
		t.Error("the page doesn't say that there is nothing")
	}
	if strings.Contains(page, "NaN") || strings.Contains(page, ">0 ns<") {
		t.Error("no data became a figure")
	}
	if err := WriteHTML(io.Discard, nil); !errors.Is(err, ErrNoRuns) {
		t.Errorf("no runs: %v", err)
	}
}

// A page of lookups speaks of what they cost, and of no limbo.
func TestLookupPage(t *testing.T) {
	sc := lookups(k612, "ns")
	sc.Trials[0].Findings = []string{"all <elements> were found"}
	l := &Loaded{Name: "lookups", Run: newRun(sc)}
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
	if page := renderHTML(t, &Loaded{Name: "interrupted", Run: interruptedLookups()}); !strings.Contains(page, "no lookup was measured") {
		t.Error("a run that was ended early doesn't say that there is nothing")
	}
}

// What a workload found to be wrong is a problem at the top of the page.
func TestFailurePage(t *testing.T) {
	sc := rcu(k612)
	sc.Trials[0].Failures = []string{"addressing: FAIL: index 5 answered with element 0"}
	page := renderHTML(t, &Loaded{Name: "failed", Run: newRun(sc)})
	if !strings.Contains(page, `<li class="alert bad"><span class="mark">Problem</span><span>`+sc.ID[:5]) || !strings.Contains(page, "addressing: FAIL: index 5 answered with element 0") {
		t.Error("the page doesn't say that addressing failed")
	}
}

func TestLabels(t *testing.T) {
	a := loadFixture(t, fixture{kernels: twoKernels, strategies: twoStrategies, deaths: 5})
	b := loadFixture(t, fixture{kernels: twoKernels[:1], strategies: twoStrategies, deaths: 5})
	a.Name, b.Name = "before", "after"
	one := loadFixture(t, fixture{kernels: twoKernels[:1], strategies: twoStrategies[:1], deaths: 5})
	same := newEntries([]*Loaded{one, one}, Filter{}, "")
	for _, c := range []struct {
		name    string
		entries []*entry
		want    string // label/facet/series/colour of each
	}{
		{"one run", newEntries([]*Loaded{a}, Filter{}, ""), "6.12.117 · rcu/6.12.117/rcu/c0, 6.12.117 · tasks-trace/6.12.117/tasks-trace/c1, 7.2.12 · rcu/7.2.12/rcu/c0, 7.2.12 · tasks-trace/7.2.12/tasks-trace/c1"},
		{"filtered", newEntries([]*Loaded{a}, Filter{Kernel: twoKernels[1], Strategy: "rcu"}, ""), "rcu/7.2.12/rcu/c0"},
		{"nothing fits", newEntries([]*Loaded{a}, Filter{MapType: "devmap"}, ""), ""},
		{"two runs", newEntries([]*Loaded{a, b}, Filter{Strategy: "rcu", Kernel: twoKernels[0]}, ""), "before/rcu/before/c0, after/rcu/after/c1"},
		{"by strategy", newEntries([]*Loaded{a}, Filter{Strategy: "rcu"}, FacetStrategy), "6.12.117/rcu/6.12.117/c0, 7.2.12/rcu/7.2.12/c1"},
		{"equal names", same, "run/rcu/run/c0, run (2)/rcu/run (2)/c1"},
	} {
		var got []string
		for _, e := range c.entries {
			got = append(got, e.Label+"/"+e.Facet+"/"+e.Series+"/"+e.Color)
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, s, c.want)
		}
	}
}

func TestWriteSketch(t *testing.T) {
	l := loadFixture(t, fixture{kernels: twoKernels, strategies: fourStrategies, deaths: 300})
	for _, c := range []struct {
		name string
		o    Options
	}{{"sketch_100", Options{}}, {"sketch_60", Options{Width: 60}}, {"sketch_color", Options{Width: 80, Color: true}}} {
		var buf bytes.Buffer
		if err := WriteSketch(&buf, l, c.o); err != nil {
			t.Fatal(err)
		}
		checkText(t, buf.String(), c.o)
		golden(t, c.name, buf.Bytes())
	}
}
