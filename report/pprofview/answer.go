// SPDX-License-Identifier: Apache-2.0

package pprofview

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"html"
	"maps"
	"net/http"
	"os/exec"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/internal/served"
)

// harmlessViews are pprof's pages for a server that is read-only. A kernel's
// profile has no sources, and what a stranger's profile calls one may be any
// file of this machine.
func harmlessViews(views map[string]http.Handler) map[string]http.Handler {
	views = maps.Clone(views)
	for _, path := range []string{"/saveconfig", "/deleteconfig"} {
		delete(views, path)
	}
	for path, h := range views {
		views[path] = hiding(h)
	}
	for _, path := range []string{"/source", "/disasm"} {
		views[path] = note(http.StatusNotFound, "No source here",
			"The profile of a kernel comes without sources and object files. Flame graph, Top and Peek show what there is.")
	}
	if graph := views["/graph"]; graph != nil {
		views["/graph"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := exec.LookPath("dot"); err != nil {
				note(http.StatusNotImplemented, "The graph needs graphviz",
					"pprof draws it with graphviz's program dot, which isn't installed on this machine (apt-get install graphviz). Flame graph, Top and Peek work without.").ServeHTTP(w, r)
				return
			}
			graph.ServeHTTP(w, r)
		})
	}
	return views
}

// hidden are the entries of pprof's menus that lead to what harmlessViews leaves out. Its
// scripts look for them, so that they stay.
const hidden = "<style>#list,#disasm,#action-source,#action-source-tab,#save-config{display:none}</style>"

// hiding is a view without these entries.
func hiding(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{header: w.Header(), status: http.StatusOK}
		h.ServeHTTP(rec, r)
		body := rec.body.Bytes()
		if strings.HasPrefix(rec.header.Get("Content-Type"), "text/html") {
			body = bytes.Replace(body, []byte("</head>"), []byte(hidden+"</head>"), 1)
		}
		w.WriteHeader(rec.status)
		_, _ = w.Write(body)
	})
}

// Serve answers with one of the views, and adds a way back to its header.
// pprof's pages have their scripts in them: each gets this answer's own nonce,
// and nothing else is allowed to run.
func Serve(w http.ResponseWriter, r *http.Request, views map[string]http.Handler, path, back, backText string) {
	h := views[path]
	if h == nil {
		http.NotFound(w, r)
		return
	}
	sub := r.Clone(r.Context())
	sub.URL.Path = path
	rec := &recorder{header: http.Header{}, status: http.StatusOK}
	h.ServeHTTP(rec, sub)
	for k, v := range rec.header {
		w.Header()[k] = v
	}
	body := rec.body.Bytes()
	if strings.HasPrefix(rec.header.Get("Content-Type"), "text/html") && !rec.note {
		nonce := newNonce()
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-"+nonce+"'; style-src 'unsafe-inline'; "+
			"img-src 'self' data:; connect-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'")
		body = bytes.ReplaceAll(body, []byte("<script"), []byte(`<script nonce="`+nonce+`"`))
		body = bytes.Replace(body, []byte(`<div class="header">`), []byte(`<div class="header"><a style="padding:0 16px;white-space:nowrap;font-weight:bold" href="`+
			html.EscapeString(safetext.Text(back))+`" title="`+html.EscapeString(safetext.Text(backText))+`">← mapprof</a>`), 1)
	}
	w.WriteHeader(rec.status)
	_, _ = w.Write(body)
}

func newNonce() string {
	var b [18]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// recorder keeps an answer that is to be changed before it is sent.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	note   bool
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }
func (r *recorder) WriteHeader(status int)      { r.status = status }

// note is a page that is only a message, and none of pprof's.
func note(status int, title, text string) http.Handler {
	page := served.Note(status, title, text)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rec, ok := w.(*recorder); ok {
			rec.note = true
		}
		page.ServeHTTP(w, r)
	})
}
