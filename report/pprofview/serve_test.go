// SPDX-License-Identifier: Apache-2.0

package pprofview

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/pprof/driver"
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
