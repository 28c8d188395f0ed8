// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/driver"
	pprof "github.com/google/pprof/profile"

	"github.com/mapprof/mapprof/internal/safetext"
)

// pprofMu is held while pprof starts: its configuration is the process's.
var pprofMu sync.Mutex

// pprofViews are pprof's own pages for a profile, or for the difference of two
// when base isn't nil, by their path.
func pprofViews(p, base *pprof.Profile) (map[string]http.Handler, error) {
	pprofMu.Lock()
	defer pprofMu.Unlock()
	// pprof wants to know where its settings are even if it never has any.
	if _, err := os.UserConfigDir(); err != nil {
		if err := os.Setenv("XDG_CONFIG_HOME", os.DevNull); err != nil {
			return nil, fmt.Errorf("start pprof: %w", err)
		}
	}
	src := &pprofSource{FlagSet: flag.NewFlagSet("pprof", flag.ContinueOnError), profiles: map[string]*pprof.Profile{"profile": p}}
	src.SetOutput(io.Discard)
	src.args = []string{"-http=localhost:0", "-no_browser", "-symbolize=none"}
	if base != nil {
		src.profiles["base"] = base
		src.args = append(src.args, "-diff_base=base")
	}
	src.args = append(src.args, "profile")
	var views map[string]http.Handler
	err := driver.PProf(&driver.Options{
		Flagset: src, Fetch: src, Obj: NoObjects{}, Sym: NoSymbols{}, UI: &silentUI{},
		HTTPServer: func(args *driver.HTTPServerArgs) error {
			views = args.Handlers
			return nil
		},
	})
	if err == nil && views == nil {
		err = errors.New("it served nothing")
	}
	if err != nil {
		return nil, fmt.Errorf("start pprof: %w", err)
	}
	return HarmlessViews(views), nil
}

// HarmlessViews are pprof's pages for a server that is read-only. A kernel's
// profile has no sources, and what a stranger's profile calls one may be any
// file of this machine.
func HarmlessViews(views map[string]http.Handler) map[string]http.Handler {
	views = maps.Clone(views)
	for _, path := range []string{"/saveconfig", "/deleteconfig"} {
		delete(views, path)
	}
	for _, path := range []string{"/source", "/disasm"} {
		views[path] = notePage(http.StatusNotFound, "No source here",
			"The profile of a kernel comes without sources and object files. Flame graph, Top and Peek show what there is.")
	}
	if graph := views["/graph"]; graph != nil {
		views["/graph"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := exec.LookPath("dot"); err != nil {
				notePage(http.StatusNotImplemented, "The graph needs graphviz",
					"pprof draws it with graphviz's program dot, which isn't installed on this machine (apt-get install graphviz). Flame graph, Top and Peek work without.").ServeHTTP(w, r)
				return
			}
			graph.ServeHTTP(w, r)
		})
	}
	return views
}

// pprofSource is pprof's command line, and where its profiles come from.
type pprofSource struct {
	*flag.FlagSet
	args     []string
	profiles map[string]*pprof.Profile
}

// StringList implements driver.FlagSet.
func (s *pprofSource) StringList(name, def, usage string) *[]*string {
	list := &[]*string{}
	s.Func(name, usage, func(v string) error {
		*list = append(*list, &v)
		return nil
	})
	return list
}

// ExtraUsage implements driver.FlagSet.
func (s *pprofSource) ExtraUsage() string { return "" }

// AddExtraUsage implements driver.FlagSet.
func (s *pprofSource) AddExtraUsage(string) {}

// Parse implements driver.FlagSet.
func (s *pprofSource) Parse(func()) []string {
	if err := s.FlagSet.Parse(s.args); err != nil {
		return nil
	}
	return s.Args()
}

// Fetch implements driver.Fetcher. It returns no address: of what comes from
// one, pprof saves a copy in the user's home.
func (s *pprofSource) Fetch(name string, _, _ time.Duration) (*pprof.Profile, string, error) {
	p := s.profiles[name]
	if p == nil {
		return nil, "", fmt.Errorf("no profile %q", name)
	}
	return p.Copy(), "", nil
}

// silentUI drops pprof's messages: a view shows its own.
type silentUI struct{}

func (*silentUI) ReadLine(string) (string, error)     { return "", io.EOF }
func (*silentUI) Print(...any)                        {}
func (*silentUI) PrintErr(...any)                     {}
func (*silentUI) IsTerminal() bool                    { return false }
func (*silentUI) WantBrowser() bool                   { return false }
func (*silentUI) SetAutoComplete(func(string) string) {}

// servePprof answers with one of the views, and adds a way back to its header.
// pprof's pages have their scripts in them: each gets this answer's own nonce,
// and nothing else is allowed to run.
func servePprof(w http.ResponseWriter, r *http.Request, views map[string]http.Handler, path, back, backText string) {
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
