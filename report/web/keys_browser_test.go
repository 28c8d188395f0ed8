// SPDX-License-Identifier: Apache-2.0

//go:build browser

package web

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/mapprof/mapprof/report/internal/fixture"
)

// press types keys as a user does, wherever the focus is.
func (b *tab) press(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// focus says what has the focus, and fails if that can't be seen there.
func (b *tab) focus() string {
	b.t.Helper()
	return eval[string](b, `{
		const e = document.activeElement, r = e.getBoundingClientRect(), s = getComputedStyle(e);
		const under = document.elementFromPoint(r.left + Math.min(r.width, 20) / 2, r.top + r.height / 2);
		if (e !== document.body && !(e.matches(":focus-visible") && s.outlineStyle !== "none" && s.outlineWidth !== "0px" && under && (e.contains(under) || under.contains(e))))
			"unseen: " + e.outerHTML.slice(0, 80) + JSON.stringify([r.top, innerHeight, s.outlineStyle, under && under.outerHTML.slice(0, 80)]);
		else e === document.body ? "" : e.id ? "#" + e.id : e.textContent.trim();
	}`)
}

// wantFocus waits for it: a dialog tells that it was closed a moment later.
func (b *tab) wantFocus(after, want string) {
	b.t.Helper()
	got := b.focus()
	for end := time.Now().Add(2 * time.Second); got != want && time.Now().Before(end); got = b.focus() {
		time.Sleep(10 * time.Millisecond)
	}
	if got != want {
		b.t.Errorf("after %q the focus is on %q, want %q", after, got, want)
	}
}

// TestBrowserKeys goes through the pages by keys alone.
func TestBrowserKeys(t *testing.T) {
	root := t.TempDir()
	small := fixture.Churn{Kernels: fixture.TwoKernels, Strategies: fixture.TwoStrategies, Trials: 2, Deaths: 60}
	for i, name := range []string{"one", "two", "three"} {
		small.Started = time.Date(2026, 5, 9-i, 0, 0, 0, 0, time.UTC)
		small.Write(t, filepath.Join(root, name))
	}
	base := startWeb(t, root)
	b := openBrowser(t, base)
	b.do(chromedp.Navigate(base), chromedp.WaitVisible(css("#keys-button")))
	for _, c := range []struct{ keys, want string }{
		{"j", "one"}, {"j", "two"}, {"j", "three"}, {"j", "three"}, {"k", "two"}, {"k", "one"}, {"k", "one"},
		{"/", "#f-find"}, {"jk?x", "#f-find"}, {kb.Escape, "#f-find"}, {kb.Escape, ""}, {"?", "Close"}, {"j", "Close"}, {kb.Escape, ""}, {"j", "one"}, {"?", "Close"}, {kb.Escape, "one"},
	} {
		b.press(c.keys)
		b.wantFocus(c.keys, c.want)
	}
	b.press("xjx")
	if at, _ := b.chosenNow(); strings.Count(at, "run=") != 2 {
		t.Errorf("two ticks by keys, and the address is %s", at)
	}
	b.press("?")
	b.accessible("help on keys")
	b.screenshot("web-keys")
	b.press(kb.Escape)
	b.press(kb.Enter)
	b.do(chromedp.WaitVisible(css("#summary")))
	if h := eval[string](b, `document.querySelector("h1").textContent`); h != "two" {
		t.Fatalf("Enter opened %q", h)
	}

	// Down the whole page and up again: all headings and folded parts, each in sight.
	b.chosenNow()
	stops := eval[int](b, `[...document.querySelectorAll("main h1, main h2, main summary")].filter(e => e.checkVisibility()).length`)
	var down, up []string
	for range stops + 2 {
		b.press("j")
		down = append(down, b.focus())
	}
	for range stops - 1 {
		b.press("k")
		up = append(up, b.focus())
	}
	if down[0] != "two" || down[stops-1] != down[stops] || up[len(up)-1] != "two" {
		t.Errorf("down %q, up %q", down, up)
	}
	for _, at := range append(down, up...) {
		if at == "" || strings.HasPrefix(at, "unseen") {
			t.Errorf("a key led to %q", at)
		}
	}
	// Enter unfolds.
	for !strings.HasPrefix(b.focus(), "What the phases are") {
		b.press("j")
		if b.focus() == down[stops] {
			t.Fatal("there is no way to the phases")
		}
	}
	b.press(kb.Enter)
	if at, _ := b.chosenNow(); !strings.Contains(at, "open=phases.0") {
		t.Errorf("Enter on a folded part leads to %s", at)
	}
	b.press("/")
	b.wantFocus("/", "#flame-find")
	b.accessible("a run that keys went through")

	// They can be turned off, on every page.
	b.do(chromedp.Click(css("#keys-button")), chromedp.Click(css("#keys-on")), chromedp.Click(css("#keys button")))
	b.do(chromedp.Navigate(base), chromedp.WaitVisible(css("#keys-button")))
	b.press("j/?")
	b.wantFocus("keys that are off", "")
	b.do(chromedp.Click(css("#keys-button")), chromedp.Click(css("#keys-on")))
	b.press(kb.Escape)
	b.press("j")
	if got := b.focus(); got != "one" {
		t.Errorf("turned on again, j leads to %q", got)
	}
}
