// SPDX-License-Identifier: Apache-2.0

//go:build browser

package web

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/results"
)

const phoneWidth = 360

// phone makes the window that of a telephone.
func (b *tab) phone() {
	b.t.Helper()
	command(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: phoneWidth, Height: 740, DeviceScaleFactor: 1, Mobile: true})
}

// fitsPhone fails if the page scrolls sideways, and returns how many of its boxes do.
func (b *tab) fitsPhone(what string) int {
	b.t.Helper()
	// Mobile browsers widen the window for a page that is too wide.
	if w := eval[int](b, "Math.max(document.documentElement.scrollWidth, innerWidth)"); w > phoneWidth {
		wide := eval[string](b, fmt.Sprintf(`[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > %d && !e.closest(".scroll, svg, nav")).map(e => e.outerHTML.slice(0, 120)).slice(0, 5).join("\n")`, phoneWidth))
		b.t.Errorf("%s: on a telephone the page is %d wide:\n%s", what, w, wide)
	}
	return eval[int](b, `[...document.querySelectorAll(".scroll")].filter(s => s.scrollWidth > s.clientWidth).length`)
}

// edges tells whether there is a shadow at the left and the right edge of the
// first box that scrolls: whether its lowest rows of pixels get darker there.
func (b *tab) edges() (left, right bool) {
	b.t.Helper()
	eval[bool](b, `window.scroller.scrollIntoView({block: "center"}); true`)
	shot, err := png.Decode(bytes.NewReader(result(b, chromedp.CaptureScreenshot())))
	if err != nil {
		b.t.Fatal(err)
	}
	box := eval[[]float64](b, `{ const r = window.scroller.getBoundingClientRect(); [r.left, r.right, r.top, r.bottom] }`)
	// On a table without a shadow some rows have text there, and most have none.
	darker := func(x, inwards int) bool {
		n := 0
		for y := int(box[2]) + 1; y < int(box[3])-1; y++ {
			if light(shot, x, y)+8 < light(shot, x+inwards, y) {
				n++
			}
		}
		return 2*n > int(box[3]-box[2])
	}
	return darker(int(box[0])+1, 30), darker(int(box[1])-2, -30)
}

func light(m image.Image, x, y int) int {
	r, g, b, _ := m.At(x, y).RGBA()
	return int(r>>8+g>>8+b>>8) / 3
}

// TestBrowserPhone: on a telephone a table scrolls in its own box, which shows
// that there is more, and the page never does.
func TestBrowserPhone(t *testing.T) {
	root := t.TempDir()
	small := fixture.Churn{Kernels: fixture.FourKernels, Strategies: fixture.FourStrategies, Trials: 2, Deaths: 100, Edit: func(r *results.Run) {
		r.Warnings = append(r.Warnings, "a-warning-of-one-long-word-"+string(bytes.Repeat([]byte("x"), 200)))
	}}
	small.Write(t, filepath.Join(root, "before"))
	small.Started = time.Date(2026, 5, 5, 3, 2, 1, 0, time.UTC)
	small.Write(t, filepath.Join(root, "a-directory-of-a-rather-long-name", "another-one-with-a-name-of-40-characters"))
	small.Started = time.Date(2026, 5, 6, 3, 2, 1, 0, time.UTC)
	small.Write(t, filepath.Join(root, "third"))
	ids := newTestServer(t, root)
	x, y := idOf(t, ids, "before"), idOf(t, ids, "third")
	base := startWeb(t, root)
	b := openBrowser(t, base)
	b.expected = func(text string) bool { return strings.Contains(text, "status of 404") }
	b.phone()
	at := 0
	for _, dark := range []bool{false, true} {
		b.dark(dark)
		for _, path := range phonePages(x, y) {
			b.do(chromedp.Navigate(base+path), chromedp.WaitVisible(css("#main")))
			scrolling := b.fitsPhone(path)
			b.screenshot(fmt.Sprintf("phone-%d", at))
			eval[bool](b, `document.querySelectorAll("details").forEach(d => { d.open = true; }); true`)
			scrolling += b.fitsPhone(path + " unfolded")
			if scrolling == 0 {
				continue
			}
			eval[bool](b, `window.scroller = [...document.querySelectorAll(".scroll")].find(s => s.scrollWidth > s.clientWidth + 120); true`)
			if left, right := b.edges(); left || !right {
				t.Errorf("%s: there is more at the right: shadow at the left %v, at the right %v", path, left, right)
			}
			at++
			eval[bool](b, `scroller.scrollLeft = 60; true`)
			if left, right := b.edges(); !left || !right {
				t.Errorf("%s: there is more on both sides: shadow at the left %v, at the right %v", path, left, right)
			}
			eval[bool](b, `scroller.scrollLeft = 9999; true`)
			if left, right := b.edges(); !left || right {
				t.Errorf("%s: there is more at the left: shadow at the left %v, at the right %v", path, left, right)
			}
		}
	}
}

// phonePages are all sorts of pages that there are.
func phonePages(x, y string) []string {
	return []string{"/", "/run/" + x, "/compare?run=" + x + "&run=" + y + "&base=" + x, "/history", "/trend", "/run/0000"} // the last is not found
}
