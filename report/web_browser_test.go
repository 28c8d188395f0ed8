// SPDX-License-Identifier: Apache-2.0

//go:build browser

// These tests drive a real browser: they need Debian's chromium and fonts, and
// npm for axe-core. Screenshots are kept in $MAPPROF_TEST_OUTPUT, or in the
// test's artifact directory (go test -artifacts).

package report

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/mapprof/mapprof/results"
)

const axeVersion = "4.10.3"

// tab is a page of a browser that notes all that it shouldn't do.
type tab struct {
	t   *testing.T
	ctx context.Context
	out string

	mu       gosync.Mutex
	faults   []string
	allowed  string // prefix of every address that may be asked
	expected func(string) bool
}

func openBrowser(t *testing.T, allowed string) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WindowSize(1280, 900),
		// Whatever isn't loopback can't even be looked up.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Fatal("the browser tests need chromium (apt-get install chromium)")
	}
	options = append(options, chromedp.ExecPath("chromium"))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, allowed: allowed, out: os.Getenv("MAPPROF_TEST_OUTPUT")}
	if b.out == "" {
		b.out = t.ArtifactDir()
	}
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		t.Fatal(err)
	}
	// This starts the browser, and must not have the time limit of a step.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, b.event); err != nil {
		t.Fatal(err)
	}
	command(b, network.Enable, network.EnableParams{})
	command(b, log.Enable, cdp.Empty{})
	command(b, runtime.Enable, cdp.Empty{})
	command(b, cdppage.Enable, cdppage.EnableParams{})
	b.dark(false)
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, f := range b.faults {
			t.Error(f)
		}
	})
	return b
}

func (b *tab) event(ev any) {
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		if u := ev.Request.URL; !strings.HasPrefix(u, b.allowed) && !strings.HasPrefix(u, "data:") && u != "about:blank" {
			b.fault("request to " + u)
		}
	case *runtime.EventExceptionThrown:
		text, _ := json.Marshal(ev.ExceptionDetails)
		b.fault("exception: " + string(text))
	case *runtime.EventConsoleAPICalled:
		if ev.Type == "error" || ev.Type == "warning" {
			text, _ := json.Marshal(ev.Args)
			b.fault("console: " + string(text))
		}
	case *log.EventEntryAdded:
		if ev.Entry.Level == "error" || ev.Entry.Level == "warning" {
			b.fault(fmt.Sprintf("log: %s %s", ev.Entry.Text, ev.Entry.URL))
		}
	case *cdppage.EventJavascriptDialogOpening:
		b.fault("a dialog opened: " + ev.Message)
		go func() {
			_, _ = chromedp.Call(b.ctx, cdppage.HandleJavaScriptDialog, cdppage.HandleJavaScriptDialogParams{Accept: true})
		}()
	}
}

func (b *tab) fault(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.expected != nil && b.expected(text) {
		return
	}
	b.faults = append(b.faults, text)
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 40*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.screenshot("failed-" + strings.ReplaceAll(b.t.Name(), "/", "-"))
		b.t.Fatal(err)
	}
}

// screenshot keeps a picture of the whole page.
func (b *tab) screenshot(name string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 40*time.Second)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Logf("screenshot %s: %v", name, err)
		return
	}
	if err := os.WriteFile(filepath.Join(b.out, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// eval runs an expression in the page, and waits for it if it is a promise.
func eval[T any](b *tab, expr string) T {
	b.t.Helper()
	return result(b, chromedp.Evaluate[T](expr, chromedp.EvalAwaitPromise))
}

func result[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 40*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		b.screenshot("failed-" + strings.ReplaceAll(b.t.Name(), "/", "-"))
		b.t.Fatal(err)
	}
	return v
}

func command[P, R any](b *tab, cmd cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, cmd, params); err != nil {
		b.t.Fatal(err)
	}
}

func css(sel string) chromedp.CSS { return chromedp.CSS(sel) }

// linkTo finds a link by its text.
func linkTo(text string) string { return `//a[text()="` + text + `"]` }

// dark chooses the theme. Nothing moves by itself: what is clicked has to stay
// where it was found.
func (b *tab) dark(on bool) {
	value := "light"
	if on {
		value = "dark"
	}
	command(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: value}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
}

// drawn waits until the charts that are in sight have been drawn.
func (b *tab) drawn() { b.do(chromedp.WaitVisible(css(".plot.on .u-wrap"))) }

var axeScript = gosync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mapprof-axe-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "pack", "--silent", "axe-core@"+axeVersion)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm pack axe-core: %w: %s", err, out)
	}
	f, err := os.Open(filepath.Join(dir, "axe-core-"+axeVersion+".tgz"))
	if err != nil {
		return "", err
	}
	defer f.Close()
	zr, err := gzip.NewReader(f)
	if err != nil {
		return "", err
	}
	for tr := tar.NewReader(zr); ; {
		h, err := tr.Next()
		if err != nil {
			return "", fmt.Errorf("axe-core has no axe.min.js: %w", err)
		}
		if h.Name == "package/axe.min.js" {
			data, err := io.ReadAll(tr)
			return string(data), err
		}
	}
})

// accessible fails for every fault that axe-core calls serious or critical.
func (b *tab) accessible(what string) {
	b.t.Helper()
	script, err := axeScript()
	if err != nil {
		b.t.Fatal(err)
	}
	eval[bool](b, script+"; true")
	type violation struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML, FailureSummary string }
	}
	found := eval[struct{ Violations []violation }](b, `axe.run(document, {resultTypes: ["violations"]})`)
	for _, v := range found.Violations {
		if v.Impact == "serious" || v.Impact == "critical" {
			b.t.Errorf("%s: %s: %s (%s), %d times: %.300s\n%s", what, v.Impact, v.Help, v.ID, len(v.Nodes), v.Nodes[0].HTML, v.Nodes[0].FailureSummary)
		}
	}
}

// startWeb serves a directory until the test ends.
func startWeb(t *testing.T, root string) string {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := newTestWeb(t, root)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- web.Serve(ctx, ln, "127.0.0.1") }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}

// headlineFigures reads the headline: scenario → p50 in nanoseconds.
func (b *tab) headlineFigures(run *results.Run) map[string]int64 {
	b.t.Helper()
	type figure struct{ Scenario, Value, Text string }
	list := eval[[]figure](b, `[...document.querySelectorAll("data.figure")].map(d => ({Scenario: d.dataset.scenario, Value: d.value, Text: d.textContent}))`)
	out := map[string]int64{}
	for _, f := range list {
		v, err := strconv.ParseInt(f.Value, 10, 64)
		if err != nil {
			b.t.Fatal(err)
		}
		s := run.Find(f.Scenario)
		if s == nil {
			b.t.Fatalf("headline of scenario %s, which isn't in run.json", f.Scenario)
		}
		if want := s.Phases[results.PhaseLimbo].P50NS; v != want || f.Text != FormatDuration(float64(want)) {
			b.t.Errorf("%s: the headline says %d (%s), run.json %d", f.Scenario, v, f.Text, want)
		}
		out[f.Scenario] = v
	}
	return out
}

func TestBrowserWeb(t *testing.T) {
	root := t.TempDir()
	small := fixture{kernels: fourKernels, strategies: fourStrategies, trials: 6, deaths: 300}
	run := small.write(t, filepath.Join(root, "before"))
	small.slow, small.started = 0.7, time.Date(2026, 5, 5, 3, 2, 1, 0, time.UTC)
	small.write(t, filepath.Join(root, "after"))
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
	id := "churn/" + fourKernels[1] + "/tasks-trace"
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
	eval[bool](b, `document.querySelector('#flame .fr[data-name="__sys_bpf"]').dispatchEvent(new MouseEvent("click", {bubbles: true}))`)
	if w := eval[string](b, `document.querySelector('#flame .fr[data-name="__sys_bpf"]').getAttribute("width")`); w != "100%" {
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
	b.choose("#f-base", idOf(t, newTestWeb(t, root), "before"))
	if got := eval[string](b, "document.querySelector('h1').textContent"); got != "before against after" {
		t.Errorf("with another base the comparison is of %q", got)
	}
	if n := eval[int](b, `[...document.querySelectorAll("#compare .delta")].filter(d => d.textContent.startsWith("−")).length`); n == 0 {
		t.Error("grace periods got shorter, and no delta is negative")
	}
	b.drawn()
	b.screenshot("web-compare")
	b.accessible("a comparison")
	b.do(chromedp.Click(linkTo("Diff in pprof")), chromedp.WaitVisible(css("#stack-chart")))
	b.phaseFrame("[phase] rcu_gp")
	b.screenshot("web-pprof-diff")
}

func (b *tab) location() string { return result(b, chromedp.Location()) }

// choose picks from a list that loads another page.
func (b *tab) choose(list, value string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 40*time.Second)
	defer cancel()
	resp, err := chromedp.RunResponse(ctx, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`{
		const s = document.querySelector(%q);
		s.value = %q;
		if (s.value !== %[2]q) throw new Error("no such choice");
		s.dispatchEvent(new Event("change", {bubbles: true}));
	}`, list, value)))
	if err != nil || resp.Status != 200 {
		b.t.Fatalf("choose %s in %s: %v %v", value, list, resp, err)
	}
	b.do(chromedp.WaitVisible(css("#main")))
}

// phaseFrame finds a frame in pprof's flame graph.
func (b *tab) phaseFrame(name string) {
	b.t.Helper()
	result(b, chromedp.Poll[bool](`[...document.querySelectorAll("#stack-chart div")].some(d => d.textContent.startsWith("`+name+`"))`,
		chromedp.WithPollingTimeout(20*time.Second)))
}

// TestBrowserWatches checks that a run appears in a list that is open.
func TestBrowserWatches(t *testing.T) {
	root := t.TempDir()
	small := fixture{kernels: twoKernels[:1], strategies: twoStrategies, deaths: 20}
	small.write(t, filepath.Join(root, "old"))
	base := startWeb(t, root)
	b := openBrowser(t, base)
	b.do(chromedp.Navigate(base), chromedp.WaitVisible(css("#runs")), chromedp.Click(css(`input[aria-label="compare old"]`)))
	small.write(t, filepath.Join(root, "fresh"))
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
		f    fixture
	}{
		{"file-one-kernel", fixture{kernels: twoKernels[:1], strategies: twoStrategies, trials: 8, deaths: 300}},
		{"file-four-kernels", fixture{kernels: fourKernels, strategies: fourStrategies, trials: 2, deaths: 1000, edit: func(r *results.Run) {
			r.Warnings = append(r.Warnings, "no KVM here: the kernel ran under software emulation, where times are longer than on hardware")
			r.Scenarios[1].Loss = map[string]uint64{"ringbuf_full": 3}
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := c.f.write(t, filepath.Join(dir, c.name))
			l, err := Load(filepath.Join(dir, c.name))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, c.name+".html")
			if err := os.WriteFile(file, []byte(renderHTML(t, l)), 0o644); err != nil {
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
	evil(t, filepath.Join(root, "evil"))
	evil(t, filepath.Join(root, "evil2"))
	web := newTestWeb(t, root)
	x, y := idOf(t, web, "evil"), idOf(t, web, "evil2")
	base := startWeb(t, root)
	b := openBrowser(t, base)
	_, graphviz := exec.LookPath("dot")
	for _, path := range []string{"/", "/run/" + x, "/compare?run=" + x + "&run=" + y, "/run/" + x + "/pprof/flamegraph?si=limbo", "/run/" + x + "/pprof/top",
		"/run/" + x + "/pprof/peek", "/run/" + x + "/pprof/graph", "/diff/" + x + "/" + y + "/pprof/flamegraph"} {
		if strings.HasSuffix(path, "graph") && !strings.Contains(path, "flame") && graphviz != nil {
			// Without graphviz the answer is an error page, which the log repeats.
			b.expected = func(text string) bool { return strings.Contains(text, "status of 501") }
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
