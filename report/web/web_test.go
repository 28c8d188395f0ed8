// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/results"
)

func anyHost(string) bool { return true }

// get asks a server, without following redirects.
func get(t testing.TB, h http.Handler, target string, edit ...func(*http.Request)) (int, http.Header, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:8080/", nil)
	path, query, _ := strings.Cut(target, "?")
	r.URL.Path, r.URL.RawQuery = path, query
	for _, f := range edit {
		f(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Header(), w.Body.String()
}

func newTestServer(t *testing.T, dirs ...string) *Server {
	t.Helper()
	web, err := New(dirs)
	if err != nil {
		t.Fatal(err)
	}
	return web
}

// idOf returns the ID of the only run with that name.
func idOf(t *testing.T, web *Server, name string) string {
	t.Helper()
	found, _ := web.store.list()
	for _, f := range found {
		if f.Name == name {
			return f.ID
		}
	}
	t.Fatalf("no run %q among %d", name, len(found))
	return ""
}

func TestPages(t *testing.T) {
	root := t.TempDir()
	small := fixture.Churn{Kernels: fixture.TwoKernels, Strategies: fixture.TwoStrategies, Trials: 2, Deaths: 60}
	small.Write(t, filepath.Join(root, "before"))
	small.Slow = 0.5
	small.Write(t, filepath.Join(root, "sub", "after"))
	if err := os.Mkdir(filepath.Join(root, "not-a-run"), 0o755); err != nil {
		t.Fatal(err)
	}
	web := newTestServer(t, root)
	h := web.Handler(anyHost)
	before, after := idOf(t, web, "before"), idOf(t, web, "sub/after")
	_, graphviz := exec.LookPath("dot")
	graph := http.StatusOK
	if graphviz != nil {
		graph = http.StatusNotImplemented
	}
	for _, c := range []struct {
		path string
		code int
		want string
	}{
		{"/", 200, "sub/after"},
		{"/?strategy=rcu", 200, "before"},
		{"/?find=AFTER+Churn", 200, "1 of 2 runs are filtered out"},
		{"/?find=after+before", 200, "2 of 2 runs are filtered out"},
		{"/?find=%22%3E%3Cscript%3Ealert(1)", 200, `value="&#34;&gt;&lt;script&gt;alert(1)"`},
		{"/?kernel=6.6", 200, "2 of 2 runs are filtered out"},
		{"/version", 200, ""},
		{"/run/" + before, 200, "a freed map stays in memory"},
		{"/run/" + before + "?strategy=rcu", 200, "2 scenarios are filtered out"},
		{"/run/" + before + "?scenario=nothing", 200, "No scenario fits the filter"},
		{"/run/" + before + "?map=array&facet=strategy", 200, "selected>strategy"},
		{"/run/0000", 404, "No such run"},
		{"/run/..%2f..%2fetc", 404, "No such run"},
		{"/run/" + before + "/run.json", 200, `"schema_version"`},
		{"/run/" + before + "/trace.json", 200, `"traceEvents"`},
		{"/run/" + before + "/report.html", 200, "sha256-"},
		{"/run/" + before + "/nothing", 404, ""},
		{"/compare?run=" + before + "&run=" + after, 303, ""},
		{"/compare?run=" + before + "&run=" + after + "&base=" + before, 200, "Diff in pprof"},
		{"/compare?run=" + before + "&run=" + after + "&base=" + before, 200, "<h1>sub/after against before</h1>"},
		{"/compare?run=" + before + "&run=" + after + "&base=" + after, 200, "<h1>before against sub/after</h1>"},
		{"/compare?run=" + before + "&run=xyz", 404, "No such run"},
		{"/compare", 303, ""},
		{"/", 200, `formaction="/history"`},
		{"/history", 200, "2 runs from"},
		{"/history?run=" + before, 200, "1 run: too few"},
		{"/history?run=xyz", 404, "No such run"},
		{"/run/" + before + "/pprof/", 301, ""},
		{"/run/" + before + "/pprof/flamegraph", 200, "[phase] tasks_trace_gp"},
		{"/run/" + before + "/pprof/top", 200, "[phase] tasks_trace_gp"},
		{"/run/" + before + "/pprof/peek", 200, "[phase] tasks_trace_gp"},
		{"/run/" + before + "/pprof/graph", graph, "graph"},
		{"/run/" + before + "/pprof/source", 404, "No source here"},
		{"/run/" + before + "/pprof/saveconfig", 404, ""},
		{"/run/" + before + "/pprof/deleteconfig", 404, ""},
		{"/diff/" + before + "/" + after + "/pprof/flamegraph", 200, "[phase] tasks_trace_gp"},
		{"/diff/" + before + "/" + after + "/pprof/top", 200, "[phase] rcu_gp"},
		{"/assets/report.js", 200, "uPlot"},
		{"/assets/report.css", 200, "prefers-color-scheme"},
		{"/assets/../html.go", 307, ""},
		{"/assets/page.html", 404, ""},
		{"/../../etc/passwd", 307, ""},
		{"/etc/passwd", 404, ""},
		{"/run/../../etc/passwd", 307, ""},
		{"/run/" + before + "/pprof/../../../../etc/passwd", 307, ""},
	} {
		code, header, body := get(t, h, c.path)
		if code != c.code || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d, want %d with %q; got %.300s", c.path, code, c.code, c.want, body)
		}
		for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Resource-Policy"} {
			if header.Get(name) == "" {
				t.Errorf("%s: no %s", c.path, name)
			}
		}
		if strings.Contains(body, "root:x:") {
			t.Errorf("%s: shows a file of this machine", c.path)
		}
	}
}

// TestDiff checks that pprof's difference is negative where it got cheaper.
func TestDiff(t *testing.T) {
	root := t.TempDir()
	small := fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies, Deaths: 60}
	small.Write(t, filepath.Join(root, "a"))
	small.Slow, small.Trials = 0.5, 3 // the base counts as three trials too
	small.Write(t, filepath.Join(root, "b"))
	web := newTestServer(t, root)
	_, _, body := get(t, web.Handler(anyHost), "/diff/"+idOf(t, web, "a")+"/"+idOf(t, web, "b")+"/pprof/top?si=limbo")
	row := regexp.MustCompile(`"Name":"\[phase\] tasks_trace_gp","InlineLabel":"","Flat":(-?\d+)`).FindStringSubmatch(body)
	if row == nil || !strings.HasPrefix(row[1], "-") {
		t.Errorf("tasks_trace_gp halved, pprof's difference says %v", row)
	}
}

// TestDiffMatchesScenarios checks that a scenario that only one of the runs
// has neither is part of the difference nor scales what both have.
func TestDiffMatchesScenarios(t *testing.T) {
	root := t.TempDir()
	small := fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies, Deaths: 60, Trials: 3}
	small.Write(t, filepath.Join(root, "both"))
	small.Strategies = fixture.TwoStrategies[:1]
	small.Write(t, filepath.Join(root, "rcu"))
	small.Strategies = fixture.TwoStrategies[1:]
	small.Write(t, filepath.Join(root, "tasks-trace"))
	web := newTestServer(t, root)
	h := web.Handler(anyHost)
	// The made-up times of the first strategy are the same in both runs.
	code, _, body := get(t, h, "/diff/"+idOf(t, web, "both")+"/"+idOf(t, web, "rcu")+"/pprof/top?si=limbo")
	if code != http.StatusOK || strings.Contains(body, "[phase] tasks_trace_gp") {
		t.Errorf("%d: tasks_trace_gp, which only one run has, is in the difference", code)
	}
	for _, row := range regexp.MustCompile(`"Name":"([^"]*)","InlineLabel":"","Flat":(-?\d+)`).FindAllStringSubmatch(body, -1) {
		if row[2] != "0" {
			t.Errorf("%s is the same in both runs, and the difference is %s", row[1], row[2])
		}
	}
	code, _, body = get(t, h, "/diff/"+idOf(t, web, "rcu")+"/"+idOf(t, web, "tasks-trace")+"/pprof/top?si=limbo")
	if code != http.StatusUnprocessableEntity || !strings.Contains(body, "no workload with the same strategy in common") {
		t.Errorf("runs without a common scenario: %d %.300s", code, body)
	}
}

func TestWithoutDeaths(t *testing.T) {
	root := t.TempDir()
	fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies, Deaths: 10, NoDeaths: true}.Write(t, filepath.Join(root, "a"))
	web := newTestServer(t, root)
	if code, _, body := get(t, web.Handler(anyHost), "/run/"+idOf(t, web, "a")+"/trace.json"); code != 404 || !strings.Contains(body, "--no-deaths") {
		t.Errorf("the timeline of a run without deaths: %d %.200s", code, body)
	}
}

func TestHosts(t *testing.T) {
	web := newTestServer(t, t.TempDir())
	for _, c := range []struct {
		listen, name, host string
		ok                 bool
	}{
		{"127.0.0.1:8080", "127.0.0.1", "127.0.0.1:8080", true},
		{"127.0.0.1:8080", "127.0.0.1", "localhost:8080", true},
		{"127.0.0.1:8080", "127.0.0.1", "LOCALHOST:8080", true},
		{"127.0.0.1:8080", "127.0.0.1", "[::1]:8080", true},
		{"127.0.0.1:8080", "127.0.0.1", "evil.example:8080", false},
		{"127.0.0.1:8080", "127.0.0.1", "127.0.0.1.evil.example:8080", false},
		{"127.0.0.1:8080", "127.0.0.1", "localhost.evil.example:8080", false},
		{"127.0.0.1:8080", "127.0.0.1", "127.0.0.1:8081", false},
		{"127.0.0.1:8080", "127.0.0.1", "127.0.0.1", false},
		{"127.0.0.1:8080", "127.0.0.1", "10.0.0.1:8080", false},
		{"127.0.0.1:8080", "127.0.0.1", "", false},
		{"127.0.0.1:80", "127.0.0.1", "localhost", true},
		{"0.0.0.0:8080", "", "10.0.0.1:8080", true},
		{"0.0.0.0:8080", "", "evil.example:8080", false},
		{"10.0.0.1:8080", "lab.example", "lab.example:8080", true},
		{"10.0.0.1:8080", "lab.example", "evil.example:8080", false},
	} {
		addr, err := net.ResolveTCPAddr("tcp", c.listen)
		if err != nil {
			t.Fatal(err)
		}
		code, _, _ := get(t, web.Handler(allowedHosts(addr, c.name)), "/", func(r *http.Request) { r.Host = c.host })
		if want := map[bool]int{true: 200, false: 403}[c.ok]; code != want {
			t.Errorf("listening on %s, Host %q: %d, want %d", c.listen, c.host, code, want)
		}
	}
}

func TestReadsOnly(t *testing.T) {
	web := newTestServer(t, t.TempDir())
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "PROPFIND"} {
		if code, _, _ := get(t, web.Handler(anyHost), "/", func(r *http.Request) { r.Method = method }); code != 405 {
			t.Errorf("%s: %d, want 405", method, code)
		}
	}
}

// TestStaysInside checks that nothing outside of the directory is served,
// be there links to it or not.
func TestStaysInside(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	small := fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies[:1], Deaths: 10}
	small.Write(t, filepath.Join(outside, "secret"))
	small.Write(t, filepath.Join(root, "mine"))
	small.Write(t, filepath.Join(root, ".hidden"))
	link := func(to, from string) {
		t.Helper()
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}
	link(filepath.Join(outside, "secret"), filepath.Join(root, "linked"))
	if err := os.Mkdir(filepath.Join(root, "inner"), 0o755); err != nil {
		t.Fatal(err)
	}
	link(filepath.Join(outside, "secret", results.RunFile), filepath.Join(root, "inner", results.RunFile))
	web := newTestServer(t, root)
	found, _ := web.store.list()
	if len(found) != 1 || found[0].Name != "mine" {
		t.Fatalf("found %d runs, want only mine", len(found))
	}
	// A file that becomes a link after the run was found.
	mine := filepath.Join(root, "mine")
	if err := os.Remove(filepath.Join(mine, results.ProfileFile)); err != nil {
		t.Fatal(err)
	}
	link(filepath.Join(outside, "secret", results.ProfileFile), filepath.Join(mine, results.ProfileFile))
	if code, _, body := get(t, web.Handler(anyHost), "/run/"+found[0].ID); code == 200 || !strings.Contains(body, "links are not followed") {
		t.Errorf("a run with a linked profile: %d %.200s", code, body)
	}
	if code, _, _ := get(t, web.Handler(anyHost), "/run/"+runID(filepath.Join(outside, "secret"))); code != 404 {
		t.Errorf("a run outside: %d, want 404", code)
	}
}

func TestWatches(t *testing.T) {
	root := t.TempDir()
	web := newTestServer(t, root)
	h := web.Handler(anyHost)
	_, _, empty := get(t, h, "/version")
	if _, _, body := get(t, h, "/"); !strings.Contains(body, "There is no run here yet") {
		t.Error("an empty directory isn't said to be one")
	}
	small := fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies[:1], Deaths: 10}
	small.Write(t, filepath.Join(root, "new"))
	_, _, one := get(t, h, "/version")
	if one == empty {
		t.Error("a new run doesn't change the version")
	}
	id := idOf(t, web, "new")
	if code, _, _ := get(t, h, "/run/"+id); code != 200 {
		t.Errorf("the new run: %d", code)
	}
	if err := os.WriteFile(filepath.Join(root, "new", results.RunFile), []byte(`{"schema_version": 99}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, body := get(t, h, "/"); !strings.Contains(body, "use a newer mapprof") {
		t.Error("a run of a newer schema isn't said to be one")
	}
	if code, _, body := get(t, h, "/run/"+id); code != 422 || !strings.Contains(body, "use a newer mapprof") {
		t.Errorf("a run of a newer schema: %d %.200s", code, body)
	}
	if err := os.RemoveAll(filepath.Join(root, "new")); err != nil {
		t.Fatal(err)
	}
	get(t, h, "/version")
	if code, _, _ := get(t, h, "/run/"+id); code != 404 {
		t.Errorf("a removed run: %d", code)
	}
}

// TestRemovedRun: a run that went since the list was made is not found, by none
// of its addresses, whether it has been looked at before or not; nor does what
// can't be read tell its place.
func TestRemovedRun(t *testing.T) {
	root := t.TempDir()
	small := fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies[:1], Deaths: 10}
	for _, name := range []string{"stays", "seen", "unseen"} {
		small.Write(t, filepath.Join(root, name))
	}
	web := newTestServer(t, root)
	h := web.Handler(anyHost)
	stays := idOf(t, web, "stays")
	if code, _, _ := get(t, h, "/run/"+idOf(t, web, "seen")); code != 200 {
		t.Fatalf("the run: %d", code)
	}
	for _, name := range []string{"seen", "unseen"} {
		id := idOf(t, web, name)
		f, err := web.store.find(id)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
		for _, target := range []string{"/run/" + id, "/run/" + id + "/report.html", "/run/" + id + "/run.json", "/run/" + id + "/trace.json",
			"/run/" + id + "/pprof/top", "/compare?run=" + stays + "&run=" + id, "/diff/" + stays + "/" + id + "/pprof/top"} {
			web.store.found[id] = f // no other request has noticed
			if code, _, body := get(t, h, target); code != 404 || strings.Contains(body, root) {
				t.Errorf("%s, %s: %d %s", name, target, code, body)
			}
		}
		// It goes between being found and being read.
		if err := f.problem(os.ErrPermission); !errors.Is(err, errNoRun) {
			t.Errorf("%s: %v", name, err)
		}
	}

	// A file that can't be looked at.
	profile := filepath.Join(root, "stays", results.ProfileFile)
	if err := errors.Join(os.Remove(profile), os.Mkdir(profile, 0o755)); err != nil {
		t.Fatal(err)
	}
	if code, _, body := get(t, h, "/run/"+stays); code == 200 || strings.Contains(body, root) {
		t.Errorf("a run with a directory for a file: %d %s", code, body)
	}
	f, err := web.store.find(stays)
	if err != nil {
		t.Fatal(err)
	}
	_, gone := os.Open(filepath.Join(root, "stays", "x"))
	if text := f.problem(gone).Error(); strings.Contains(text, root) || !strings.Contains(text, "open stays/x") {
		t.Errorf("%q", text)
	}
}

func TestEvilNames(t *testing.T) {
	root := t.TempDir()
	fixture.Evil(t, filepath.Join(root, "evil"))
	fixture.Evil(t, filepath.Join(root, "evil2"))
	web := newTestServer(t, root)
	h := web.Handler(anyHost)
	a, b := idOf(t, web, "evil"), idOf(t, web, "evil2")
	q := url.QueryEscape(fixture.EvilName)
	for _, path := range []string{
		"/", "/?kernel=" + q, "/run/" + a, "/run/" + a + "?scenario=" + q + "&kernel=" + q + "&strategy=" + q + "&map=" + q + "&facet=" + q,
		"/compare?run=" + a + "&run=" + b + "&base=" + a, "/history", "/trend", "/trend?metric=" + q + "&scenario=" + q, "/run/" + a + "/report.html",
		"/run/" + a + "/pprof/flamegraph?si=limbo", "/run/" + a + "/pprof/top", "/run/" + a + "/pprof/peek", "/run/" + a + "/pprof/graph",
		"/run/" + a + "/pprof/flamegraph?f=" + q, "/run/" + a + "/pprof/flamegraph?si=" + q,
		"/diff/" + a + "/" + b + "/pprof/flamegraph", "/diff/" + a + "/" + b + "/pprof/top",
	} {
		code, header, body := get(t, h, path)
		// Errors of pprof are plain text, and nothing guesses at their type.
		isHTML := strings.HasPrefix(header.Get("Content-Type"), "text/html") || header.Get("X-Content-Type-Options") != "nosniff"
		if isHTML && (strings.Contains(body, "<script>alert") || strings.Contains(body, "<img")) {
			t.Errorf("%s (%d): a stranger's name is part of the page", path, code)
		}
		if csp := header.Get("Content-Security-Policy"); strings.Contains(csp, "script-src 'unsafe-inline'") || !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("%s: policy %s", path, csp)
		}
	}
	// JSON and traces are data, and say that they are.
	for _, path := range []string{"/run/" + a + "/run.json", "/run/" + a + "/trace.json"} {
		code, header, body := get(t, h, path)
		if code != 200 || header.Get("Content-Type") != "application/json" || !strings.HasPrefix(header.Get("Content-Disposition"), `attachment; filename="evil`) {
			t.Errorf("%s: %d %v", path, code, header)
		}
		if !json.Valid([]byte(body)) {
			t.Errorf("%s: not JSON", path)
		}
	}
}

func TestServeEnds(t *testing.T) {
	web := newTestServer(t, t.TempDir())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- web.Serve(ctx, ln, "127.0.0.1") }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+ln.Addr().String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
		t.Errorf("%d, %v", resp.StatusCode, err)
	}
	resp.Body.Close()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the server doesn't end")
	}
}

func TestNewErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "x"), "/no/such/directory"} {
		if _, err := New([]string{dir}); err == nil || !strings.Contains(err.Error(), "watch "+dir) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
