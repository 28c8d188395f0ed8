// SPDX-License-Identifier: Apache-2.0

//go:build browser

package web

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/mapprof/mapprof/report/internal/fixture"
)

// TestBrowserNotes writes a note as a user does, who comes back to what was
// chosen, and gives a star in the list.
func TestBrowserNotes(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "runs")
	fixture.Churn{Kernels: fixture.TwoKernels, Strategies: fixture.TwoStrategies, Deaths: 60}.Write(t, filepath.Join(root, "one"))
	web := newTestServer(t, root)
	web.KeepNotes(filepath.Join(dir, "notes.json"))
	base := serveWeb(t, web)
	b := openBrowser(t, base)
	b.do(chromedp.Navigate(base+"/run/"+idOf(t, web, "one")), chromedp.WaitVisible(css("#summary")),
		chromedp.Click(css(`label[for="bars-share"]`)), chromedp.Click(css("#note summary")),
		chromedp.SendKeys(css("#note input[name=label]"), "jk/?"), chromedp.SendKeys(css("#note textarea"), "<b>first</b>\nsecond"))
	b.accessible("a run whose note is written")
	b.screenshot("web-note-form")
	b.do(chromedp.Click(css("#note button")), chromedp.WaitVisible(css("#note .notetext")))
	if got := eval[string](b, `document.querySelector("#note").innerText`); !strings.HasPrefix(got, "jk/?") || !strings.Contains(got, "<b>first</b>\nsecond") {
		t.Errorf("the note is %q", got)
	}
	if at, _ := b.chosenNow(); !strings.HasSuffix(at, "?bars=share") {
		t.Errorf("the note leads back to %s", at)
	}
	b.do(chromedp.Navigate(base), chromedp.WaitVisible(css("#runs")), chromedp.Click(css(`button[aria-label="star one"]`)), chromedp.WaitVisible(css(`button[aria-pressed="true"]`)))
	if at := b.location(); at != base+"/" {
		t.Errorf("the star leads to %s", at)
	}
	for _, dark := range []bool{false, true} {
		b.dark(dark)
		for _, path := range []string{"/", "/run/" + idOf(t, web, "one"), "/?find=first&star=with"} {
			b.do(chromedp.Navigate(base+path), chromedp.WaitVisible(css(".star")))
			b.accessible(path + " with a note")
			b.screenshot("web-note")
		}
	}
	b.phone()
	for _, path := range []string{"/", "/run/" + idOf(t, web, "one") + "?open=note.0"} {
		b.do(chromedp.Navigate(base+path), chromedp.WaitVisible(css(".star")))
		b.fitsPhone(path + " with a note")
	}
}

// TestBrowserTrend chooses a figure, and goes back.
func TestBrowserTrend(t *testing.T) {
	root := t.TempDir()
	nightly(t, root)
	base := startWeb(t, root)
	b := openBrowser(t, base)
	b.do(chromedp.Navigate(base), chromedp.WaitVisible(css("#runs")), chromedp.Click(css(`button[formaction="/trend"]`)), chromedp.WaitVisible(css("#trend")))
	b.choose("#f-dir", "nightly")
	first, _ := b.chosenNow()
	b.choose("#f-metric", "queue/p50")
	if got := eval[string](b, `document.querySelector("h1").textContent + document.querySelectorAll("#trend svg.area").length`); got != "queue/p50 over the runs2" {
		t.Errorf("the page is %q", got)
	}
	b.back(first)
	if got := eval[string](b, `document.querySelector("h1").textContent + document.querySelector("#f-metric").value`); got != "limbo/p50 over the runslimbo/p50" {
		t.Errorf("back is %q", got)
	}
	for _, dark := range []bool{false, true} {
		b.dark(dark)
		for _, path := range []string{"/trend?dir=nightly", "/history"} {
			b.do(chromedp.Navigate(base+path), chromedp.WaitVisible(css("svg.area")))
			b.accessible(path)
			b.screenshot("web" + strings.NewReplacer("/", "-", "?", "-", "=", "-").Replace(path))
		}
	}
}
