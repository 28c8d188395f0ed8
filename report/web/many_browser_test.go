// SPDX-License-Identifier: Apache-2.0

//go:build browser

package web

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/report/model"
)

// TestBrowserManyScenarios goes from the table of a run with too many scenarios for
// charts to the last one's page, which has them, and back.
func TestBrowserManyScenarios(t *testing.T) {
	root := t.TempDir()
	if err := synthetic.WriteMany(filepath.Join(root, "many"), model.MaxDrawn+2, 1, true); err != nil {
		t.Fatal(err)
	}
	web := newTestServer(t, root)
	base := serveWeb(t, web)
	page := base + "/run/" + idOf(t, web, "many")
	last := css(`#figures .part:last-of-type tr:last-child a`)
	b := openBrowser(t, base)
	for _, dark := range []bool{false, true} {
		b.dark(dark)
		b.do(chromedp.Navigate(page), chromedp.WaitVisible(css("#figures tbody a")))
		b.accessible("a run of many scenarios")
		b.screenshot("web-many-scenarios")
	}
	if n := eval[int](b, `document.querySelectorAll("#figures tbody a").length`); n != model.MaxDrawn+2 {
		t.Errorf("%d links to %d scenarios", n, model.MaxDrawn+2)
	}
	// A part is laid out as it comes into sight: it moves under a mouse that scrolls to it.
	b.do(chromedp.Focus(last), chromedp.SendKeys(last, "\r"), chromedp.WaitVisible(css("#pct-limbo-0")))
	if at := b.location(); at != page+"?scenario=churn%2F501" {
		t.Errorf("the last scenario's page is %s", at)
	}
	if got := eval[string](b, `document.querySelector("#f-scenario").selectedOptions[0].text`); got != "churn/501" {
		t.Errorf("scenario %q is chosen", got)
	}
	b.do(chromedp.Click(css(`form.filters a`)), chromedp.WaitVisible(css("#figures .part")))
	if at := b.location(); !strings.HasPrefix(at, page) || strings.Contains(at, "scenario=") {
		t.Errorf("show all leads to %s", at)
	}
	b.phone()
	b.do(chromedp.Navigate(page), chromedp.WaitVisible(css("#figures tbody a")))
	b.fitsPhone("a run of many scenarios")
}
