// SPDX-License-Identifier: Apache-2.0

//go:build browser

// These tests drive a real browser: they need Debian's chromium and fonts, and
// npm for axe-core. Screenshots are kept in $MAPPROF_TEST_OUTPUT, or in the
// test's artifact directory (go test -artifacts).

package web

import (
	"bytes"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/mapprof/mapprof/report/html"
	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

func TestBrowserPages(t *testing.T) {
	root := t.TempDir()
	small := fixture.Churn{Kernels: fixture.FourKernels, Strategies: fixture.FourStrategies, Trials: 6, Deaths: 300}
	run := small.Write(t, filepath.Join(root, "before"))
	small.Slow, small.Started = 0.7, time.Date(2026, 5, 5, 3, 2, 1, 0, time.UTC)
	small.Write(t, filepath.Join(root, "after"))
	base := startWeb(t, root)
	b := openBrowser(t, base)

	// The list, and one run of it.
	b.do(chromedp.Navigate(base), chromedp.WaitVisible(css("#runs")))
	b.screenshot("web-index")
	b.accessible("list of runs")
	b.do(chromedp.Click(linkTo("before")), chromedp.WaitVisible(css("#summary")))
	b.drawn()
	if n := len(b.headlineFigures(run)); n != 16 {
		t.Errorf("%d figures in the headlines, want 16", n)
	}
	b.screenshot("web-run")
	b.accessible("a run")

	// Another phase, another scenario.
	b.do(chromedp.Click(css(`label[for="pct-tab-rcu_gp"]`)), chromedp.WaitVisible(css("#pct-rcu_gp-0")), chromedp.Click(css(`label[for="bars-share"]`)))
	id := "churn/" + fixture.FourKernels[1] + "/tasks-trace"
	b.choose("#f-scenario", id)
	if got := b.headlineFigures(run); len(got) != 1 || got[id] == 0 {
		t.Errorf("after choosing %s the headline shows %v", id, got)
	}
	b.screenshot("web-scenario")

	// The page's own flame graph.
	b.do(chromedp.WaitVisible(css(`#flame .fr[data-name="[phase] tasks_trace_gp"]`)),
		chromedp.SendKeys(css("#flame-find"), "bpf_map_put"))
	if n := eval[int](b, `document.querySelectorAll("#flame .fr.hit").length`); n == 0 {
		t.Error("nothing found in the flame graph")
	}
	eval[bool](b, `document.querySelector('#flame .fr[data-name="bpf(2)"]').dispatchEvent(new MouseEvent("click", {bubbles: true}))`)
	if w := eval[string](b, `document.querySelector('#flame .fr[data-name="bpf(2)"]').getAttribute("width")`); w != "100%" {
		t.Errorf("a frame that was clicked is %s wide", w)
	}

	// pprof's flame graph.
	b.do(chromedp.Click(linkTo("Flame graph in pprof")), chromedp.WaitVisible(css("#stack-chart")))
	b.phaseFrame("[phase] tasks_trace_gp")
	b.screenshot("web-pprof-flamegraph")
	for _, view := range []string{"top", "peek"} {
		b.do(chromedp.Navigate(strings.Split(b.location(), "/pprof/")[0]+"/pprof/"+view+"?si=limbo"), chromedp.WaitVisible(css(".header")))
		if text := eval[string](b, "document.body.innerText"); !strings.Contains(text, "[phase] tasks_trace_gp") {
			t.Errorf("pprof's %s has no phase in it", view)
		}
		b.screenshot("web-pprof-" + view)
	}

	// Two runs, and pprof's difference of them.
	b.do(chromedp.Navigate(base), chromedp.WaitVisible(css("#runs")))
	b.do(chromedp.Click(css(`input[aria-label="compare before"]`)), chromedp.Click(css(`input[aria-label="compare after"]`)), chromedp.Click(css("#compare-button")), chromedp.WaitVisible(css("#compare")))
	if got := eval[string](b, "document.querySelector('h1').textContent"); got != "after against before" {
		t.Errorf("the comparison is of %q", got)
	}
	ids := newTestServer(t, root)
	if at := b.location(); !strings.HasSuffix(at, "base="+idOf(t, ids, "before")) && !strings.Contains(at, "base="+idOf(t, ids, "before")+"&") {
		t.Errorf("the older run isn't the base by the address %s", at)
	}
	b.choose("#f-base", idOf(t, ids, "after"))
	if got := eval[string](b, "document.querySelector('h1').textContent"); got != "before against after" {
		t.Errorf("with another base the comparison is of %q", got)
	}
	b.do(chromedp.Click(linkTo("Swap sides")), chromedp.WaitVisible(linkTo("Swap sides")))
	if got := eval[string](b, "document.querySelector('h1').textContent"); got != "after against before" {
		t.Errorf("with the sides swapped the comparison is of %q", got)
	}
	if n := eval[int](b, `[...document.querySelectorAll("#compare .delta")].filter(d => d.textContent.startsWith("−")).length`); n == 0 {
		t.Error("grace periods got shorter, and no delta is negative")
	}
	b.drawn()
	b.screenshot("web-compare")
	b.accessible("a comparison")
	b.do(chromedp.Click(linkTo("Diff in pprof")), chromedp.WaitVisible(css("#stack-chart")))
	b.phaseFrame("[phase] tasks_trace_gp")
	b.screenshot("web-pprof-diff")
	// A strategy's part of it: pprof's pivot.
	b.do(chromedp.Navigate(b.location()+"&p="+url.QueryEscape(`^\[strategy\] rcu$`)), chromedp.WaitVisible(css("#stack-chart")))
	b.phaseFrame("[phase] rcu_gp")
}

// TestBrowserDiffOfKernels opens pprof's difference of an update on two kernels, of
// which one inlines a frame: each phase is there once, and its delta is told.
func TestBrowserDiffOfKernels(t *testing.T) {
	root := t.TempDir()
	for i, kernel := range fixture.TwoKernels {
		fixture.Churn{Kernels: []string{kernel}, Strategies: []string{"tasks-trace"}, Deaths: 300, Slow: []float64{1, 0.2}[i]}.Write(t, filepath.Join(root, kernel))
	}
	server := newTestServer(t, root)
	base := startWeb(t, root)
	b := openBrowser(t, base)
	diff := base + "/diff/" + idOf(t, server, fixture.TwoKernels[0]) + "/" + idOf(t, server, fixture.TwoKernels[1]) + "/pprof/flamegraph?si="
	b.do(chromedp.Navigate(diff+"tasks_trace_gp&f=bpf_fd_array_map_update_elem"), chromedp.WaitVisible(css("#stack-chart")))
	b.phaseFrame("[phase] tasks_trace_gp")
	b.screenshot("web-pprof-diff-kernels")
	boxes := b.boxes()
	var path []string
	for _, box := range boxes {
		path = append(path, box.Name)
		// What is smaller is marked so, and told as from → to.
		if !box.Smaller || box.Larger || !strings.HasPrefix(box.Title, "-") || !strings.Contains(box.Title, "🠆") {
			t.Errorf("%+v isn't smaller", box)
		}
	}
	want := []string{"root", "[strategy] tasks-trace", "[outer map] array-of-maps", "bpf(2)", "bpf_fd_array_map_update_elem", "bpf_map_put", "[phase] tasks_trace_gp"}
	if !slices.Equal(path, want) {
		t.Errorf("the path is %q, want %q", path, want)
	}
	// Of everything: one path for each of the three callers, none beside another.
	b.do(chromedp.Navigate(diff+"limbo"), chromedp.WaitVisible(css("#stack-chart")))
	b.phaseFrame("[phase] tasks_trace_gp")
	n := 0
	for _, box := range b.boxes() {
		if box.Name == "[phase] tasks_trace_gp" {
			n++
			if !box.Smaller || box.Larger {
				t.Errorf("%+v isn't smaller", box)
			}
		}
	}
	if n != 3 {
		t.Errorf("%d frames of tasks_trace_gp for three callers", n)
	}
}

// TestBrowserWatches checks that a run appears in a list that is open.
func TestBrowserWatches(t *testing.T) {
	root := t.TempDir()
	small := fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies, Deaths: 20}
	small.Write(t, filepath.Join(root, "old"))
	base := startWeb(t, root)
	b := openBrowser(t, base)
	b.do(chromedp.Navigate(base), chromedp.WaitVisible(css("#runs")), chromedp.Click(css(`input[aria-label="compare old"]`)))
	small.Write(t, filepath.Join(root, "fresh"))
	b.do(chromedp.WaitVisible(css(`tr.new input[aria-label="compare fresh"]`)))
	if !eval[bool](b, `document.querySelector('input[aria-label="compare old"]').checked`) {
		t.Error("the update took the tick away")
	}
	b.screenshot("web-new-run")
}

// TestBrowserFile looks at a report that is a file of its own: on paper, in the
// dark, on a telephone, and without JavaScript.
func TestBrowserFile(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		f    fixture.Churn
	}{
		{"file-one-kernel", fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies, Trials: 8, Deaths: 300}},
		{"file-four-kernels", fixture.Churn{Kernels: fixture.FourKernels, Strategies: fixture.FourStrategies, Trials: 2, Deaths: 1000, Edit: func(r *results.Run) {
			r.Warnings = append(r.Warnings, "no KVM here: the kernel ran under software emulation, where times are longer than on hardware")
			r.Scenarios[1].Loss = map[string]uint64{"ringbuf_full": 3}
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := c.f.Write(t, filepath.Join(dir, c.name))
			l, err := model.Load(filepath.Join(dir, c.name))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, c.name+".html")
			var page bytes.Buffer
			if err := html.Write(&page, []*model.Loaded{l}); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, page.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			b := openBrowser(t, "file://"+file)
			open := func() { b.do(chromedp.Navigate("file://"+file), chromedp.WaitVisible(css("#summary"))) }
			open()
			b.drawn()
			b.headlineFigures(run)
			b.screenshot(c.name)
			b.accessible(c.name)
			// It scrolls: the last section can be reached, nothing is wider than the window.
			b.do(chromedp.ScrollIntoView(css("#target")))
			if eval[int](b, "document.documentElement.scrollWidth") > 1280 {
				t.Error("the page is wider than the window")
			}
			b.dark(true)
			open()
			b.drawn()
			b.screenshot(c.name + "-dark")
			b.accessible(c.name + ", dark")
			b.dark(false)
			command(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 390, Height: 844, DeviceScaleFactor: 2, Mobile: true})
			open()
			b.drawn()
			if w := eval[int](b, "document.documentElement.scrollWidth"); w > 390 {
				t.Errorf("on a telephone the page is %d wide", w)
			}
			b.screenshot(c.name + "-telephone")
			command(b, emulation.ClearDeviceMetricsOverride, cdp.Empty{})
			command(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
			open()
			b.do(chromedp.WaitVisible(css("#latency .area")), chromedp.WaitVisible(css("#memory .area")), chromedp.WaitVisible(css("#flame-static")), chromedp.WaitVisible(css("#phases .bar")))
			b.screenshot(c.name + "-without-script")
			command(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: false})
			open()
			b.drawn()
			pdf := result(b, chromedp.PrintToPDF(chromedp.PDFPrintBackground(), chromedp.PDFPreferCSSPageSize()))
			if err := os.WriteFile(filepath.Join(b.out, c.name+".pdf"), pdf, 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestBrowserEvil opens every view of a run whose names would be scripts.
func TestBrowserEvil(t *testing.T) {
	root := t.TempDir()
	fixture.Evil(t, filepath.Join(root, "evil"))
	fixture.Evil(t, filepath.Join(root, "evil2"))
	web := newTestServer(t, root)
	x, y := idOf(t, web, "evil"), idOf(t, web, "evil2")
	base := startWeb(t, root)
	b := openBrowser(t, base)
	_, graphviz := exec.LookPath("dot")
	for _, path := range []string{"/", "/run/" + x, "/compare?run=" + x + "&run=" + y, "/history", "/trend", "/run/" + x + "/pprof/flamegraph?si=limbo", "/run/" + x + "/pprof/top",
		"/run/" + x + "/pprof/peek", "/run/" + x + "/pprof/graph", "/diff/" + x + "/" + y + "/pprof/flamegraph"} {
		if strings.HasSuffix(path, "graph") && !strings.Contains(path, "flame") && graphviz != nil {
			// Without graphviz the answer is an error page, which the log repeats.
			b.expected = func(text string) bool { return strings.Contains(text, "status of 501") }
		}
		if path == "/history" || path == "/trend" {
			// The run's figures contradict each other: the answer says so, with their names.
			b.expected = func(text string) bool { return strings.Contains(text, "status of 500") }
		}
		b.do(chromedp.Navigate(base+path), chromedp.WaitReady(css("body")))
		if n := eval[int](b, `document.querySelectorAll("img, script:not([src]):not([type='application/json']):not([nonce])").length`); n != 0 {
			t.Errorf("%s: %d elements that a name made", path, n)
		}
		b.screenshot("evil-" + strings.Trim(strings.Map(func(r rune) rune {
			if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz", r) {
				return r
			}
			return '-'
		}, strings.NewReplacer(x, "", y, "").Replace(path)), "-"))
		b.expected = nil
	}
}

// TestBrowserFaultsAreSeen makes sure that the checks above can fail.
func TestBrowserFaultsAreSeen(t *testing.T) {
	b := openBrowser(t, "about:")
	eval[string](b, `console.error("on purpose"); fetch("http://192.0.2.1/").catch(() => "refused").then(String)`)
	b.mu.Lock()
	defer b.mu.Unlock()
	text := strings.Join(b.faults, "\n")
	b.faults = nil
	b.expected = func(string) bool { return true }
	for _, want := range []string{"on purpose", "request to http://192.0.2.1/"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q wasn't noticed: %s", want, text)
		}
	}
}
