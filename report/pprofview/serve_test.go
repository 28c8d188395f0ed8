// SPDX-License-Identifier: Apache-2.0

package pprofview

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/pprof/driver"
	"github.com/google/pprof/profile"
)

func TestHandler(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("view " + r.URL.Path)) })
	handlers := map[string]http.Handler{"/": ok, "/top": ok, "/saveconfig": ok, "/deleteconfig": ok, "/source": ok, "/disasm": ok}
	for _, c := range []struct {
		bound, host, path string
		code              int
	}{
		{"localhost", "localhost:1234", "/ui/top", 200},
		{"localhost", "127.0.0.1:1234", "/ui/", 200},
		{"::1", "[::1]:1234", "/ui/top", 200},
		{"::1", "[::1]", "/ui/top", 200},
		{"localhost", "localhost:1234", "/", 307},
		{"localhost", "localhost:1234", "/debug/pprof/", 404},
		{"localhost", "localhost:1234", "/ui/saveconfig", 404},
		{"localhost", "localhost:1234", "/ui/deleteconfig", 404},
		{"localhost", "localhost:1234", "/ui/source?f=x", 404},
		{"localhost", "localhost:1234", "/ui/disasm?f=x", 404},
		{"localhost", "evil.example:1234", "/ui/top", 403},
		{"127.0.0.1", "localhost.evil.example", "/ui/top", 403},
		{"0.0.0.0", "my.machine:1234", "/ui/top", 200},
	} {
		h := handler(&driver.HTTPServerArgs{Host: c.bound, Handlers: handlers})
		r := httptest.NewRequest("GET", "http://"+c.host+c.path, nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.code {
			t.Errorf("bound to %s, host %s, %s: %d, want %d", c.bound, c.host, c.path, w.Code, c.code)
		}
	}
}

// TestMenusLeadSomewhere: what a menu shows can be opened. Sources, which a kernel's
// profile has none of, and settings, which a server keeps none of, aren't shown.
func TestMenusLeadSomewhere(t *testing.T) {
	f := &profile.Function{ID: 1, Name: "f"}
	l := &profile.Location{ID: 1, Line: []profile.Line{{Function: f}}}
	views, err := Views(&profile.Profile{
		SampleType: []*profile.ValueType{{Type: "limbo", Unit: "nanoseconds"}}, Function: []*profile.Function{f}, Location: []*profile.Location{l},
		Sample: []*profile.Sample{{Value: []int64{1}, Location: []*profile.Location{l}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		Serve(w, httptest.NewRequest("GET", "http://localhost"+path, nil), views, path, "/", "back")
		return w
	}
	page := get("/flamegraph").Body.String()
	shown, left := []string{}, []string{}
	for _, entry := range regexp.MustCompile(`<a [^>]*id="([\w-]+)" href="\.(/\w+)"|<a [^>]*href="\.(/\w+)" id="([\w-]+)"`).FindAllStringSubmatch(page, -1) {
		id, path := entry[1]+entry[4], entry[2]+entry[3]
		if strings.Contains(hidden, "#"+id) {
			left = append(left, id)
			continue
		}
		shown = append(shown, id)
		if w := get(path); w.Code != http.StatusOK && (path != "/graph" || w.Code != http.StatusNotImplemented) {
			t.Errorf("%s leads to %s: %d", id, path, w.Code)
		}
	}
	if !strings.Contains(page, hidden) || len(shown) < 4 || !slices.Equal(left, []string{"list", "disasm", "action-source", "action-source-tab"}) {
		t.Errorf("shown %q, hidden %q", shown, left)
	}
}
