// SPDX-License-Identifier: Apache-2.0

//go:build browser

package web

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
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

const axeVersion = "4.10.3"

// tab is a page of a browser that notes all that it shouldn't do.
type tab struct {
	t   *testing.T
	ctx context.Context
	out string

	mu       sync.Mutex
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

var axeScript = sync.OnceValues(func() (string, error) {
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
	return serveWeb(t, newTestServer(t, root))
}

// serveWeb starts a server until the test ends.
func serveWeb(t *testing.T, web *Server) string {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
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
		if want := s.Phases[results.PhaseLimbo].P50NS; v != want || f.Text != model.FormatDuration(float64(want)) {
			b.t.Errorf("%s: the headline says %d (%s), run.json %d", f.Scenario, v, f.Text, want)
		}
		out[f.Scenario] = v
	}
	return out
}

func (b *tab) location() string { return result(b, chromedp.Location()) }

// choose picks from a list that loads another page.
func (b *tab) choose(list, value string) {
	b.t.Helper()
	b.chosenNow() // an address that changes meanwhile would be taken for the other page
	ctx, cancel := context.WithTimeout(b.ctx, 40*time.Second)
	defer cancel()
	resp, err := chromedp.RunResponse(ctx, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`{
		const s = document.querySelector(%q);
		s.value = %q;
		if (s.value !== %[2]q) throw new Error("no such choice");
		s.dispatchEvent(new Event("change", {bubbles: true}));
	}`, list, value)))
	if err != nil || resp == nil || resp.Status != 200 {
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

// box is a frame of pprof's flame graph of a difference.
type box struct {
	Name, Title     string
	Smaller, Larger bool
}

// boxes are all frames of pprof's flame graph, from the root on. Their titles come with
// the mouse.
func (b *tab) boxes() []box {
	b.t.Helper()
	return eval[[]box](b, `[...document.querySelectorAll("#stack-chart .boxbg")].map((d) => {
		d.dispatchEvent(new MouseEvent("mouseenter"));
		const [name, delta] = [d.title.split(" │ ").pop(), d.title];
		d.dispatchEvent(new MouseEvent("mouseleave"));
		return {Name: name, Title: delta, Smaller: !!d.querySelector(".negative"), Larger: !!d.querySelector(".positive")};
	})`)
}
