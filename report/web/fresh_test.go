// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/results"
)

// bigRun writes a run of so many deaths.
func bigRun(t testing.TB, dir string, deaths int) {
	t.Helper()
	fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies, Trials: 5, Deaths: deaths / 10}.Write(t, dir)
}

func knows(tag string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("If-None-Match", tag) }
}

// TestPageCost: what a run's page takes doesn't grow with the deaths, neither when
// it is first asked for nor later.
func TestPageCost(t *testing.T) {
	root := t.TempDir()
	type cost struct{ cold, warm float64 }
	costs := map[int]cost{}
	for _, deaths := range []int{10_000, 100_000} {
		dir := filepath.Join(root, fmt.Sprint(deaths))
		bigRun(t, dir, deaths)
		web := newTestServer(t, dir)
		h, at := web.Handler(anyHost), "/run/"+runID(dir)
		allocated := func() float64 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if code, _, _ := get(t, h, at); code != 200 {
				t.Fatalf("%d deaths: %d", deaths, code)
			}
			runtime.ReadMemStats(&after)
			return float64(after.TotalAlloc - before.TotalAlloc)
		}
		costs[deaths] = cost{allocated(), allocated()}
		t.Logf("%d deaths: %.0f bytes at first, %.0f again", deaths, costs[deaths].cold, costs[deaths].warm)
	}
	few, many := costs[10_000], costs[100_000]
	if many.cold > 1.5*few.cold || many.warm > 1.5*few.warm {
		t.Errorf("ten times the deaths take %.1f times the memory at first and %.1f times again", many.cold/few.cold, many.warm/few.warm)
	}
	if 2*many.warm > many.cold {
		t.Errorf("a page that is asked for again takes %.0f bytes, at first it took %.0f", many.warm, many.cold)
	}
}

// TestNotReadAgain: files that stay the same are read once.
func TestNotReadAgain(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "run")
	fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies, Deaths: 50}.Write(t, dir)
	web := newTestServer(t, root)
	h, at := web.Handler(anyHost), "/run/"+idOf(t, web, "run")
	_, _, before := get(t, h, at)
	file := filepath.Join(dir, results.RunFile)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	// Nobody but this test changes a file and says that it didn't.
	if err := os.WriteFile(file, bytes.ReplaceAll(data, []byte(`"7.2.22"`), []byte(`"9.9.99"`)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, st.ModTime(), st.ModTime()); err != nil {
		t.Fatal(err)
	}
	if _, _, again := get(t, h, at); again != before {
		t.Error("a run that has the same times and sizes was read again")
	}
	if err := os.Chtimes(file, st.ModTime(), st.ModTime().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, _, after := get(t, h, at); !strings.Contains(after, "9.9.99") {
		t.Error("a run that was changed was not read again")
	}
}

// TestETag: what a browser has is not sent again, until the runs change.
func TestETag(t *testing.T) {
	root := t.TempDir()
	small := fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies, Deaths: 20}
	small.Write(t, filepath.Join(root, "a"))
	small.Write(t, filepath.Join(root, "b"))
	web := newTestServer(t, root)
	h := web.Handler(anyHost)
	a, b := idOf(t, web, "a"), idOf(t, web, "b")
	tags := map[string]string{}
	pages := []string{"/run/" + a, "/run/" + a + "?strategy=rcu", "/run/" + b, "/compare?run=" + a + "&run=" + b + "&base=" + a, "/compare?run=" + a + "&run=" + b + "&base=" + b, "/assets/report.js", "/assets/report.css"}
	for _, at := range pages {
		code, header, body := get(t, h, at)
		tag := header.Get("Etag")
		if code != 200 || tag == "" || tags[tag] != "" || body == "" {
			t.Fatalf("%s: %d, tag %s (also of %q)", at, code, tag, tags[tag])
		}
		tags[tag] = at
		for _, known := range []string{tag, "W/" + tag, `"x", ` + tag} {
			if code, header, body := get(t, h, at, knows(known)); code != http.StatusNotModified || body != "" || header.Get("Content-Security-Policy") == "" {
				t.Errorf("%s, known as %s: %d with %d bytes", at, known, code, len(body))
			}
		}
		if code, _, again := get(t, h, at, knows(`"x"`)); code != 200 || again != body {
			t.Errorf("%s, known otherwise: %d", at, code)
		}
		if code, _, _ := get(t, newTestServer(t, root).Handler(anyHost), at, knows(tag)); code != 200 {
			t.Errorf("%s: another program knows the page: %d", at, code)
		}
	}
	small.Slow = 0.5
	if err := os.RemoveAll(filepath.Join(root, "a")); err != nil {
		t.Fatal(err)
	}
	small.Write(t, filepath.Join(root, "a"))
	for tag, at := range tags {
		code, _, _ := get(t, h, at, knows(tag))
		if changed := strings.Contains(at, a); changed != (code == 200) {
			t.Errorf("%s after the run changed: %d", at, code)
		}
	}
	if err := os.RemoveAll(filepath.Join(root, "a")); err != nil {
		t.Fatal(err)
	}
	for tag, at := range tags {
		if !strings.Contains(at, a) {
			continue
		}
		if code, header, _ := get(t, h, at, knows(tag)); code != 404 || header.Get("Etag") != "" || header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s of a run that has gone: %d, %s %s", at, code, header.Get("Etag"), header.Get("Cache-Control"))
		}
	}
}

// BenchmarkRunPage is a page of 100,000 deaths: of a server that hasn't seen the run,
// of one that has, and for a browser that has the page.
func BenchmarkRunPage(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "big")
	bigRun(b, dir, 100_000)
	at := "/run/" + runID(dir)
	ask := func(b *testing.B, web *Server, want int, edit ...func(*http.Request)) string {
		b.Helper()
		code, header, _ := get(b, web.Handler(anyHost), at, edit...)
		if code != want {
			b.Fatal(code)
		}
		return header.Get("Etag")
	}
	server := func(b *testing.B) *Server {
		b.Helper()
		web, err := New([]string{dir})
		if err != nil {
			b.Fatal(err)
		}
		return web
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			ask(b, server(b), 200)
		}
	})
	b.Run("again", func(b *testing.B) {
		web := server(b)
		for b.Loop() {
			ask(b, web, 200)
		}
	})
	b.Run("known", func(b *testing.B) {
		web := server(b)
		tag := ask(b, web, 200)
		for b.Loop() {
			ask(b, web, http.StatusNotModified, knows(tag))
		}
	})
}
