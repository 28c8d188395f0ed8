// SPDX-License-Identifier: Apache-2.0

package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/export"
	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/report/html"
	"github.com/mapprof/mapprof/report/internal/served"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/report/pprofview"
	"github.com/mapprof/mapprof/results"
)

// maxViews is how many runs' and differences' pprof pages are kept.
const maxViews = 8

// Server serves the runs under some directories: a list that keeps itself up to
// date, a page for each run and for several, and pprof's own views of each and
// of the difference of two. Of the runs it only reads.
type Server struct {
	store     *runStore
	epoch     string
	book      notebook
	mu        sync.Mutex
	pprof     []cachedViews  // the last used last
	histories []*madeHistory // likewise
}

type cachedViews struct {
	key   string
	views map[string]http.Handler
}

// New returns a server of the runs under dirs, each of which must be a
// directory: a run, or one with runs in it.
func New(dirs []string) (*Server, error) {
	store, err := newRunStore(dirs)
	if err != nil {
		return nil, err
	}
	return &Server{store: store, epoch: newEpoch()}, nil
}

// Serve answers on ln until ctx ends, and then finishes what it is at. name is
// the host part of the address that was asked for: where it isn't loopback,
// requests for that name are answered too.
func (s *Server) Serve(ctx context.Context, ln net.Listener, name string) error {
	s.lockNotes(ln.Addr())
	server := served.Server(s.Handler(allowedHosts(ln.Addr(), name)))
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve web view: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := server.Shutdown(end); err != nil {
		_ = server.Close() // somebody is still downloading
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve web view: %w", err)
	}
	return nil
}

// Handler answers requests whose Host is one that allowed accepts.
func (s *Server) Handler(allowed func(host string) bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("GET /version", s.version)
	mux.HandleFunc("GET /assets/{name}", s.asset)
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) { // of pprof's pages
		r.SetPathValue("name", "icon.svg")
		s.asset(w, r)
	})
	mux.HandleFunc("GET /run/{id}", s.run)
	mux.HandleFunc("POST /run/{id}/note", s.note)
	mux.HandleFunc("GET /run/{id}/report.html", s.download)
	mux.HandleFunc("GET /run/{id}/run.json", s.json)
	mux.HandleFunc("GET /run/{id}/trace.json", s.trace)
	mux.HandleFunc("GET /run/{id}/pprof/{view...}", s.pprofOne)
	mux.HandleFunc("GET /compare", s.compare)
	mux.HandleFunc("GET /history", s.history)
	mux.HandleFunc("GET /trend", s.trend)
	mux.HandleFunc("GET /diff/{base}/{id}/pprof/{view...}", s.pprofDiff)
	return guard(mux, allowed)
}

// fail answers with an error's text. It may be gone the next time.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Del("Etag")
	w.Header().Set("Cache-Control", "no-store")
	var schema *results.SchemaError
	var corrupt *results.CorruptError
	switch {
	case errors.Is(err, errNoRun):
		served.Note(http.StatusNotFound, "No such run", "It may have been moved or removed since the list was made.").ServeHTTP(w, r)
	case errors.As(err, &schema):
		served.Note(http.StatusUnprocessableEntity, "This run can't be read", schema.Error()).ServeHTTP(w, r)
	case errors.As(err, &corrupt):
		served.Note(http.StatusUnprocessableEntity, "This run can't be read", model.WithoutPath("", err).Error()).ServeHTTP(w, r)
	case errors.Is(err, compare.ErrNothingMatched):
		served.Note(http.StatusUnprocessableEntity, "Nothing here can be compared", err.Error()).ServeHTTP(w, r)
	default:
		served.Note(http.StatusInternalServerError, "This can't be shown", err.Error()).ServeHTTP(w, r)
	}
}

func (s *Server) asset(w http.ResponseWriter, r *http.Request) {
	body, contentType, ok := html.ServedAsset(r.PathValue("name"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	if s.fresh(w, r) {
		return
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write([]byte(body))
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) {
	_, version := s.store.list()
	_, notes, _ := s.notes()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, versionOf(version, notes))
}

func (s *Server) run(w http.ResponseWriter, r *http.Request) {
	f, err := s.store.find(r.PathValue("id"))
	if err == nil && s.fresh(w, r, s.stateOf([]*foundRun{f})...) {
		return
	}
	l, f, err := s.store.load(r.PathValue("id"))
	if err != nil {
		fail(w, r, err)
		return
	}
	s.page(w, r, []*model.Loaded{l}, []*foundRun{f})
}

func (s *Server) page(w http.ResponseWriter, r *http.Request, runs []*model.Loaded, found []*foundRun) {
	q := r.URL.Query()
	f := model.Filter{Scenario: q.Get("scenario"), Kernel: q.Get("kernel"), Strategy: q.Get("strategy"), MapType: q.Get("map")}
	facetBy := q.Get("facet")
	if facetBy != model.FacetKernel && facetBy != model.FacetStrategy {
		facetBy = ""
	}
	links := liveLinksOf(r.URL, runs, found, f, facetBy)
	s.addNotes(links, r.URL, found)
	for i, l := range runs {
		runs[i] = l.Drawn(f)
	}
	stream(w, r, func() { w.Header().Set("Content-Type", "text/html; charset=utf-8") },
		func(w io.Writer) error { return html.WriteLive(w, runs, f, facetBy, links) })
}

// stream answers with what content writes, after begin, or with the error that it has
// before it writes anything.
func stream(w http.ResponseWriter, r *http.Request, begin func(), content func(io.Writer) error) {
	out := &lateWriter{w: w, begin: begin}
	switch err := content(out); {
	case err != nil && out.begun:
		// Only breaking the answer off says that it isn't whole.
		panic(http.ErrAbortHandler)
	case err != nil:
		fail(w, r, err)
	}
}

// download is the page as a file of its own.
func (s *Server) download(w http.ResponseWriter, r *http.Request) {
	l, f, err := s.store.load(r.PathValue("id"))
	if err != nil {
		fail(w, r, err)
		return
	}
	stream(w, r, func() { attach(w, f, "html", "text/html; charset=utf-8") },
		func(w io.Writer) error { return html.Write(w, []*model.Loaded{l}) })
}

func (s *Server) json(w http.ResponseWriter, r *http.Request) {
	l, f, err := s.store.load(r.PathValue("id"))
	if err != nil {
		fail(w, r, err)
		return
	}
	attach(w, f, "run.json", "application/json")
	_ = model.WriteRun(w, l.Run)
}

func (s *Server) trace(w http.ResponseWriter, r *http.Request) {
	f, err := s.store.find(r.PathValue("id"))
	if err != nil {
		fail(w, r, err)
		return
	}
	dir, err := (*results.Dir)(nil), onlyRegular(f.path)
	if err == nil {
		dir, err = results.Open(f.path)
	}
	if err != nil {
		fail(w, r, f.problem(err))
		return
	}
	out := &lateWriter{w: w, begin: func() { attach(w, f, "trace.json", "application/json") }}
	err = export.WriteTrace(out, dir)
	var none *export.EmptyError
	switch {
	case err == nil:
	case out.begun:
		// Only breaking the answer off says that it isn't whole.
		panic(http.ErrAbortHandler)
	case errors.As(err, &none):
		served.Note(http.StatusNotFound, "There is no timeline", none.Error()).ServeHTTP(w, r)
	case errors.Is(err, os.ErrNotExist):
		served.Note(http.StatusNotFound, "There is no timeline", "This run was made with --no-deaths: it has the statistics but not the single deaths.").ServeHTTP(w, r)
	default:
		fail(w, r, f.problem(err))
	}
}

// lateWriter begins an answer when there is something to be said.
type lateWriter struct {
	w     io.Writer
	begin func()
	begun bool
}

func (l *lateWriter) Write(p []byte) (int, error) {
	if !l.begun {
		l.begun = true
		l.begin()
	}
	return l.w.Write(p)
}

var notFileName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

func attach(w http.ResponseWriter, f *foundRun, suffix, kind string) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s"`, fileName(f, suffix)))
}

func fileName(f *foundRun, suffix string) string {
	return strings.Trim(notFileName.ReplaceAllString(f.Name, "-"), ".-") + "." + suffix
}

func (s *Server) pprofOne(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	l, f, err := s.store.load(id)
	if err != nil {
		fail(w, r, err)
		return
	}
	views, err := s.views(f.ID+" "+f.stamp, func() (map[string]http.Handler, error) {
		if l.Profile == nil {
			return nil, nil
		}
		return pprofview.Views(profile.Group(profile.Harmless(l.Profile)), nil)
	})
	switch {
	case err != nil:
		fail(w, r, err)
	case views == nil:
		noProfile(w, r, l)
	default:
		pprofview.Serve(w, r, views, "/"+r.PathValue("view"), "/run/"+url.PathEscape(id), l.Name)
	}
}

func (s *Server) pprofDiff(w http.ResponseWriter, r *http.Request) {
	base, bf, err := s.store.load(r.PathValue("base"))
	if err != nil {
		fail(w, r, err)
		return
	}
	l, f, err := s.store.load(r.PathValue("id"))
	if err != nil {
		fail(w, r, err)
		return
	}
	for _, one := range []*model.Loaded{base, l} {
		if one.Profile == nil {
			noProfile(w, r, one)
			return
		}
	}
	views, err := s.views(bf.ID+" "+bf.stamp+" "+f.ID+" "+f.stamp, func() (map[string]http.Handler, error) {
		b, c, err := profile.Align(
			profile.Run{Name: base.Name, Run: base.Run, Profile: base.Profile},
			profile.Run{Name: l.Name, Run: l.Run, Profile: l.Profile})
		if err != nil {
			return nil, err
		}
		return pprofview.Views(profile.Harmless(c), profile.Harmless(b))
	})
	if err != nil {
		fail(w, r, err)
		return
	}
	pprofview.Serve(w, r, views, "/"+r.PathValue("view"),
		"/compare?run="+url.QueryEscape(bf.ID)+"&run="+url.QueryEscape(f.ID)+"&base="+url.QueryEscape(bf.ID), l.Name+" against "+base.Name)
}

func noProfile(w http.ResponseWriter, r *http.Request, l *model.Loaded) {
	served.Note(http.StatusNotFound, "There is no profile", l.Name+" has none that can be read: "+cmp.Or(strings.Join(l.Notes, "; "), "it ended before any death was seen")).ServeHTTP(w, r)
}

// views returns pprof's pages for a key, made once.
func (s *Server) views(key string, start func() (map[string]http.Handler, error)) (map[string]http.Handler, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range s.pprof {
		if c.key == key {
			s.pprof = append(slices.Delete(s.pprof, i, i+1), c)
			return c.views, nil
		}
	}
	v, err := start()
	if err != nil || v == nil {
		return nil, err
	}
	s.pprof = append(s.pprof, cachedViews{key, v})
	if len(s.pprof) > maxViews {
		s.pprof = slices.Delete(s.pprof, 0, 1)
	}
	return v, nil
}
