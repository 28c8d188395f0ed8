// SPDX-License-Identifier: Apache-2.0

//go:build browser

package web

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/mapprof/mapprof/report/internal/fixture"
)

// shown is all that a page lets one choose, as it is shown.
const shown = `JSON.stringify({
	tabs: [...document.querySelectorAll(".tabs > input:checked")].map(i => i.id),
	panels: [...document.querySelectorAll(".panel")].map(p => getComputedStyle(p).display),
	open: [...document.querySelectorAll("details")].map(d => d.open),
	lists: [...document.querySelectorAll("select")].map(s => s.name + s.id + "=" + s.selectedIndex + s.value),
	find: [...document.querySelectorAll("input[type=search]")].map(i => i.value),
	frames: [...document.querySelectorAll("#flame .fr")].map(g => g.getAttribute("aria-label") + g.getAttribute("width") + g.getAttribute("class")),
	charts: [...document.querySelectorAll(".plot.on .live")].filter(l => l.offsetParent).map(l => l.getAttribute("aria-label")),
	ticks: [...document.querySelectorAll("#runs input:checked")].map(i => i.value),
	title: document.querySelector("h1").textContent,
}, null, 1)`

// chosenNow waits until the address has what was chosen last.
func (b *tab) chosenNow() (at, state string) {
	b.t.Helper()
	eval[bool](b, `new Promise(done => {
		const drawn = () => [...document.querySelectorAll(".plot[id]")].every(p => !p.offsetParent || p.matches(".on:has(.u-wrap)"));
		const wait = () => drawn() ? setTimeout(() => done(true), 50) : requestAnimationFrame(wait);
		requestAnimationFrame(wait);
	})`)
	return b.location(), eval[string](b, shown)
}

// back goes back to an address, which may be another page or this one.
func (b *tab) back(to string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void]("history.back()")); err != nil {
		b.t.Fatal(err)
	}
	for ctx.Err() == nil {
		// The page that is left may be gone by the answer.
		at, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.readyState === "complete" ? location.href : ""`))
		if err == nil && at == to {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.t.Fatalf("back leads to %s, not to %s", b.location(), to)
}

// TestBrowserAddress: an address opened again shows all that was chosen, and the
// back button takes one choice after the other back.
func TestBrowserAddress(t *testing.T) {
	root := t.TempDir()
	small := fixture.Churn{Kernels: fixture.TwoKernels, Strategies: fixture.FourStrategies, Trials: 3, Deaths: 200}
	small.Write(t, filepath.Join(root, "before"))
	small.Slow, small.Started = 0.7, time.Date(2026, 5, 5, 3, 2, 1, 0, time.UTC)
	small.Write(t, filepath.Join(root, "after"))
	base := startWeb(t, root)
	ids := newTestServer(t, root)
	before, after := idOf(t, ids, "before"), idOf(t, ids, "after")
	b := openBrowser(t, base)

	click := func(sel string) func() {
		return func() { b.do(chromedp.Click(css(sel))) }
	}
	script := func(js string) func() { return func() { eval[bool](b, js+"; true") } }
	pick := func(list string, ix string) func() {
		return script(`{ const s = document.querySelector("` + list + `"); s.selectedIndex = ` + ix + `; s.dispatchEvent(new Event("change", {bubbles: true})); }`)
	}
	drag := script(`{
		const over = [...document.querySelectorAll("#latency .panel .u-over")].find(o => o.offsetParent), r = over.getBoundingClientRect();
		const at = (type, x) => (type === "mouseup" ? document : over).dispatchEvent(new MouseEvent(type, {bubbles: true, button: 0, movementX: 9, clientX: r.left + x, clientY: r.top + 40}));
		at("mouseenter", 100); at("mousemove", 100); at("mousedown", 100); at("mousemove", 220); at("mouseup", 220);
	}`)
	for _, page := range []struct {
		at    string
		steps []func()
	}{
		{"/run/" + before, []func(){
			click(`label[for="bars-share"]`),
			click(`label[for="pct-tab-rcu_gp"]`),
			drag,
			click(`label[for="dist-tab-rcu_gp"]`),
			click("#phases summary"),
			click("#target summary"),
			pick("#flame-who", "2"),
			pick("#flame-what", "1"),
			script(`document.querySelector('#flame .fr[data-name="bpf(2)"]').dispatchEvent(new MouseEvent("click", {bubbles: true}))`),
		}},
		{"/compare?run=" + before + "&run=" + after, []func(){
			click(`label[for="bars-share"]`),
			func() { b.choose("#f-strategy", "rcu") },
			click("#compare summary"),
			click(`label[for="pct-tab-rcu_gp"]`),
			func() { b.do(chromedp.Click(linkTo("Swap sides")), chromedp.WaitVisible(css("#main"))) },
			func() { b.choose("#f-facet", "strategy") },
		}},
	} {
		b.do(chromedp.Navigate(base+page.at), chromedp.WaitVisible(css("#summary")))
		at, state := b.chosenNow()
		addresses, states := []string{at}, []string{state}
		for i, step := range page.steps {
			step()
			at, state := b.chosenNow()
			if at == addresses[i] {
				t.Errorf("%s: step %d is not in the address %s", page.at, i, at)
			}
			if state == states[i] {
				t.Errorf("%s: step %d changed nothing", page.at, i)
			}
			addresses, states = append(addresses, at), append(states, state)
		}
		last := len(states) - 1
		b.screenshot("web-address")
		for i := last - 1; i >= 0; i-- {
			b.back(addresses[i])
			if at, state := b.chosenNow(); at != addresses[i] || state != states[i] {
				t.Fatalf("%s: back at step %d:\n%s\n%s\nwant\n%s\n%s", page.at, i, at, state, addresses[i], states[i])
			}
		}
		b.do(chromedp.Navigate("about:blank"))
		b.do(chromedp.Navigate(addresses[last]), chromedp.WaitVisible(css("#summary")))
		if at, state := b.chosenNow(); at != addresses[last] || state != states[last] {
			t.Errorf("%s: opened again:\n%s\n%s\nwant\n%s\n%s", page.at, at, state, addresses[last], states[last])
		}
	}

	// What is typed is no step of its own, nor are ticks.
	b.do(chromedp.Navigate(base+"/run/"+before), chromedp.WaitVisible(css("#flame-find")), chromedp.SendKeys(css("#flame-find"), "bpf_map_put"))
	at, state := b.chosenNow()
	b.do(chromedp.Navigate("about:blank"), chromedp.Navigate(at), chromedp.WaitVisible(css("#flame .fr.hit")))
	if _, again := b.chosenNow(); again != state || !strings.Contains(at, "flame-find=bpf_map_put") {
		t.Errorf("%s: what was searched for isn't shown:\n%s\nwant\n%s", at, again, state)
	}
	b.do(chromedp.Navigate(base), chromedp.WaitVisible(css("#runs")), chromedp.Click(css(`input[aria-label="compare before"]`)))
	at, state = b.chosenNow()
	b.do(chromedp.Navigate("about:blank"), chromedp.Navigate(at), chromedp.WaitVisible(css("#runs")))
	if _, again := b.chosenNow(); again != state || !strings.Contains(at, "run="+before) {
		t.Errorf("%s: the tick isn't shown:\n%s\nwant\n%s", at, again, state)
	}
	// An address that names what isn't there does no harm.
	b.do(chromedp.Navigate(base+"/run/"+before+"?bars=x&pct=%22%3E&open=figures.999&open=%3Cscript%3E&flame=no&flame-at=no&x-pct-limbo=9~1&x-pct-rcu_gp=a~b&x-memory=1e999~2"), chromedp.WaitVisible(css("#summary")))
	if _, state := b.chosenNow(); !strings.Contains(state, `"bars-time"`) {
		t.Errorf("of an address of nothing: %s", state)
	}
}
