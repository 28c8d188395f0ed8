// SPDX-License-Identifier: Apache-2.0

package web

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/results"
)

// noted is a server of two runs with a notebook beside their directory.
func noted(t *testing.T) (web *Server, root, book string) {
	t.Helper()
	dir := t.TempDir()
	root, book = filepath.Join(dir, "runs"), filepath.Join(dir, "state", "notes.json")
	small := fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies, Deaths: 20}
	small.Write(t, filepath.Join(root, "a"))
	small.Started = time.Date(2026, 5, 5, 3, 2, 1, 0, time.UTC)
	small.Write(t, filepath.Join(root, "b"))
	web = newTestServer(t, root)
	web.KeepNotes(book)
	return web, root, book
}

// post sends a form as a page of the server does.
func post(t *testing.T, h http.Handler, target string, form url.Values, edit ...func(*http.Request)) (int, http.Header, string) {
	t.Helper()
	return get(t, h, target, append([]func(*http.Request){func(r *http.Request) {
		r.Method, r.Body = http.MethodPost, io.NopCloser(strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}}, edit...)...)
}

func filesBelow(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.Walk(dir, func(path string, st os.FileInfo, err error) error {
		if err == nil {
			out = append(out, fmt.Sprint(path, st.Mode(), st.ModTime(), st.Size()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestNotes(t *testing.T) {
	web, root, book := noted(t)
	h := web.Handler(anyHost)
	a, b := idOf(t, web, "a"), idOf(t, web, "b")
	before := filesBelow(t, root)
	_, _, version := get(t, h, "/version")
	_, header, _ := get(t, h, "/run/"+a)
	code, to, _ := post(t, h, "/run/"+a+"/note", url.Values{"label": {" nightly "}, "note": {"first line\r\nsecond"}, "star": {"1"}, "back": {"/run/" + a + "?bars=share"}})
	if code != http.StatusSeeOther || to.Get("Location") != "/run/"+a+"?bars=share" {
		t.Fatalf("%d to %s", code, to.Get("Location"))
	}
	if code, _, _ := get(t, h, "/run/"+a, knows(header.Get("Etag"))); code != 200 {
		t.Errorf("a browser that has the page without the note: %d", code)
	}
	if _, _, now := get(t, h, "/version"); now == version {
		t.Error("an open list doesn't hear of the note")
	}
	for at, want := range map[string][]string{
		"/run/" + a: {`★</span> nightly</p>`, "first line\nsecond</p>", `value="nightly"`, "Change the note"},
		"/run/" + b: {"Add a note"},
		"/compare?run=" + a + "&run=" + b + "&base=" + a: {"nightly</p>"},
		"/":                          {`<span class="label">nightly</span>`, `aria-pressed="true" aria-label="star a"`, `aria-pressed="false" aria-label="star b"`},
		"/?find=SECOND+nightly":      {"1 of 2 runs are filtered out"},
		"/?star=with":                {"1 of 2 runs are filtered out", `aria-label="star a"`},
		"/?star=without":             {"1 of 2 runs are filtered out", `aria-label="star b"`},
		"/run/" + a + "/run.json":    {`"schema_version"`},
		"/run/" + a + "/report.html": {"sha256-"},
	} {
		code, _, body := get(t, h, at)
		for _, w := range want {
			if code != 200 || !strings.Contains(body, w) {
				t.Errorf("%s: %d, without %q", at, code, w)
			}
		}
		if strings.Contains(at, ".") && strings.Contains(body, "nightly") {
			t.Errorf("%s: a file that is given away has the note", at)
		}
	}

	// The star alone, from the list.
	if code, to, _ := post(t, h, "/run/"+a+"/note?only=star&back=%2F%3Fstar%3Dwith", url.Values{"star": {"0"}, "run": {a}}); code != 303 || to.Get("Location") != "/?star=with" {
		t.Errorf("%d to %s", code, to.Get("Location"))
	}
	if _, _, body := get(t, h, "/run/"+a); strings.Contains(body, "★") || !strings.Contains(body, "nightly</p>") {
		t.Error("without the star the label isn't left")
	}

	// The note is the run's, wherever that is, and not the next run's of that place.
	if err := os.Rename(filepath.Join(root, "a"), filepath.Join(root, "c")); err != nil {
		t.Fatal(err)
	}
	fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies, Deaths: 30}.Write(t, filepath.Join(root, "a"))
	if _, _, body := get(t, h, "/run/"+idOf(t, web, "c")); !strings.Contains(body, "nightly</p>") {
		t.Error("a run that was moved has lost its note")
	}
	if _, _, body := get(t, h, "/run/"+a); strings.Contains(body, "nightly") {
		t.Error("another run in the place of the first has its note")
	}
	if err := os.Rename(filepath.Join(root, "c"), filepath.Join(root, "a.moved")); err != nil {
		t.Fatal(err)
	}

	// Another program's notes are kept; an empty note is none.
	other := newTestServer(t, root)
	other.KeepNotes(book)
	moved := idOf(t, other, "a.moved")
	if code, _, _ := post(t, other.Handler(anyHost), "/run/"+b+"/note", url.Values{"label": {"of another"}}); code != 303 {
		t.Fatal(code)
	}
	if code, _, _ := post(t, h, "/run/"+moved+"/note", url.Values{"label": {" "}, "note": {""}}); code != 303 {
		t.Fatal(code)
	}
	var file bookFile
	data, err := os.ReadFile(book)
	if err == nil {
		err = json.Unmarshal(data, &file)
	}
	if err != nil || len(file.Notes) != 1 || strings.Count(string(data), "of another") != 1 {
		t.Errorf("%v: the file has %s", err, data)
	}
	if list, err := os.ReadDir(filepath.Dir(book)); err != nil || len(list) != 1 {
		t.Errorf("%d files beside the notes, %v", len(list), err)
	}
	if err := os.RemoveAll(filepath.Join(root, "a")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(root, "a.moved"), filepath.Join(root, "a")); err != nil {
		t.Fatal(err)
	}
	// The directory's own time is that of the renames.
	if after := filesBelow(t, root); !slices.Equal(before[1:], after[1:]) {
		t.Errorf("the runs' files were %q, and are %q", before, after)
	}
}

// TestNotesStrangers: only a page of this server may write, and only so much.
func TestNotesStrangers(t *testing.T) {
	web, _, book := noted(t)
	a := idOf(t, web, "a")
	at := "/run/" + a + "/note"
	form := url.Values{"label": {"x"}}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set(name, value) }
	}
	own := web.Handler(allowedHosts(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}, "127.0.0.1"))
	for what, c := range map[string]struct {
		edit func(*http.Request)
		form url.Values
		at   string
		code int
	}{
		"another site":        {header("Sec-Fetch-Site", "cross-site"), form, at, 403},
		"another port":        {header("Sec-Fetch-Site", "same-site"), form, at, 403},
		"another origin":      {header("Origin", "http://evil.example"), form, at, 403},
		"no origin at all":    {header("Origin", "null"), form, at, 403},
		"none is told":        {header("X", "y"), form, at, 403},
		"a name made to lead": {func(r *http.Request) { r.Host = "evil.example:8080" }, form, at, 403},
		"text":                {header("Sec-Fetch-Site", "same-origin"), form, at + "x", 405},
		"no form":             {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, form, at, 400},
		"a form of nothing":   {func(*http.Request) {}, url.Values{"note": {"x"}}, at, 400},
		"no such run":         {func(*http.Request) {}, form, "/run/0000/note", 404},
		"a long label":        {func(*http.Request) {}, url.Values{"label": {strings.Repeat("ä", maxLabel+1)}}, at, 409},
		"a long note":         {func(*http.Request) {}, url.Values{"label": {""}, "note": {strings.Repeat("ä\n", maxNote/2+1)}}, at, 409},
		"a huge note":         {func(*http.Request) {}, url.Values{"label": {""}, "note": {strings.Repeat("x", maxNoteForm)}}, at, 413},
		"the list":            {func(*http.Request) {}, form, "/", 405},
		"a deletion":          {func(r *http.Request) { r.Method = http.MethodDelete }, form, at, 405},
	} {
		code, _, body := post(t, own, c.at, c.form, c.edit)
		if code != c.code {
			t.Errorf("%s: %d, want %d: %.200s", what, code, c.code, body)
		}
		if _, err := os.Stat(book); err == nil {
			t.Fatalf("%s: a note is kept", what)
		}
	}
	for back, want := range map[string]string{"https://evil.example/": "/run/" + a, "//evil.example/": "/run/" + a, `/\evil.example`: "/run/" + a,
		"javascript:alert(1)": "/run/" + a, "": "/run/" + a, "/\n": "/run/" + a, "/?find=a&star=with": "/?find=a&star=with", "/%2Fevil.example": "/run/" + a} {
		code, to, _ := post(t, own, at, url.Values{"label": {"x"}, "back": {back}}, header("Origin", "http://127.0.0.1:8080"))
		if code != 303 || to.Get("Location") != want {
			t.Errorf("back to %q: %d to %q, want %q", back, code, to.Get("Location"), want)
		}
	}
	evil := `</textarea><script>alert(1)</script>"><img src=x onerror=alert(1)>` + "\x1b[2J\u202e"
	if code, _, body := post(t, own, at, url.Values{"label": {evil}, "note": {evil}, "star": {"<"}}); code != 303 {
		t.Fatalf("%d %s", code, body)
	}
	for _, page := range []string{"/", "/run/" + a, "/compare?run=" + a + "&run=" + idOf(t, web, "b") + "&base=" + a, "/history", "/trend"} {
		_, _, body := get(t, web.Handler(anyHost), page)
		if strings.Contains(body, "<script>alert") || strings.Contains(body, "<img") || strings.ContainsAny(body, "\x1b\u202e") {
			t.Errorf("%s: a note is part of the page", page)
		}
	}

	// Where others reach the server, nobody writes.
	web.lockNotes(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)})
	if code, _, body := post(t, own, at, form); code != 409 || !strings.Contains(body, "loopback") {
		t.Errorf("a server for others: %d %.300s", code, body)
	}
	if _, _, body := get(t, web.Handler(anyHost), "/run/"+a); strings.Contains(body, "<textarea") || !strings.Contains(body, lockedElsewhere) {
		t.Error("a server for others has a form")
	}
}

// TestNotesProblems: a notebook that can't be read or written is said, is left as
// it is, and costs nothing else.
func TestNotesProblems(t *testing.T) {
	many := bookFile{Version: bookVersion, Notes: map[string]note{}}
	for i := range maxNotes + 1 {
		many.Notes[fmt.Sprintf("%064x", i)] = note{Star: true}
	}
	tooMany, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	digest := strings.Repeat("0", 64)
	for what, c := range map[string]struct{ text, want string }{
		"garbage":     {"\x00\xff<script>alert(1)</script>", "is damaged"},
		"empty":       {"", "is damaged"},
		"cut off":     {`{"version":1,"notes":{"`, "is damaged"},
		"newer":       {`{"version":2}`, "version 2"},
		"no version":  {`{}`, "version 0"},
		"no digest":   {`{"version":1,"notes":{"<img src=x>":{}}}`, "is no run&#39;s digest"},
		"long label":  {`{"version":1,"notes":{"` + digest + `":{"label":"` + strings.Repeat("x", 101) + `"}}}`, "up to 100 characters"},
		"large":       {strings.Repeat(" ", maxBookBytes+1), "larger than"},
		"many":        {string(tooMany), "more than 5000 notes"},
		"other types": {`{"version":1,"notes":[1,2]}`, "is damaged"},
	} {
		t.Run(what, func(t *testing.T) {
			web, _, book := noted(t)
			if err := os.MkdirAll(filepath.Dir(book), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(book, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			checkProblem(t, web, "The notes can’t be read", c.want)
			if now, err := os.ReadFile(book); err != nil || string(now) != c.text {
				t.Errorf("the file was changed: %v", err)
			}
			// It is read again when it is mended.
			if err := os.WriteFile(book, []byte(`{"version":1,"notes":{}}`), 0o600); err != nil {
				t.Fatal(err)
			}
			if code, _, _ := post(t, web.Handler(anyHost), "/run/"+idOf(t, web, "a")+"/note", url.Values{"label": {"x"}}); code != 303 {
				t.Errorf("mended: %d", code)
			}
		})
	}
	t.Run("a directory", func(t *testing.T) {
		web, _, book := noted(t)
		if err := os.MkdirAll(book, 0o700); err != nil {
			t.Fatal(err)
		}
		checkProblem(t, web, "The notes can’t be read", "not a regular file")
	})
	t.Run("below a file", func(t *testing.T) {
		web, root, _ := noted(t)
		web.KeepNotes(filepath.Join(root, "a", results.RunFile, "notes.json"))
		checkProblem(t, web, "The notes can’t be read", "")
	})
	t.Run("unwritable", func(t *testing.T) {
		// No file can be made there, by root neither: the temporary one's name is too long.
		web, root, _ := noted(t)
		web.KeepNotes(filepath.Join(root, strings.Repeat("n", 250)))
		h, at := web.Handler(anyHost), "/run/"+idOf(t, web, "a")
		if code, _, body := post(t, h, at+"/note", url.Values{"label": {"x"}}); code != 409 || !strings.Contains(body, "The note isn&#39;t kept") || !strings.Contains(body, "name too long") {
			t.Errorf("%d %s", code, body)
		}
		if code, _, body := get(t, h, at); code != 200 || !strings.Contains(body, "Add a note") {
			t.Errorf("the page: %d", code)
		}
	})
	t.Run("a recording", func(t *testing.T) {
		web, root, book := noted(t)
		fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies, Deaths: 20, Edit: func(r *results.Run) { r.Journal = true }}.Write(t, filepath.Join(root, "grows"))
		file := filepath.Join(root, "grows", results.RunFile)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// What ends well is no journal any more.
		if err := os.WriteFile(file, []byte(strings.Replace(string(data), "{", `{"journal": true,`, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		h, at := web.Handler(anyHost), "/run/"+idOf(t, web, "grows")
		if code, _, body := get(t, h, at); code != 200 || !strings.Contains(body, lockedJournal) || strings.Contains(body, "<textarea") {
			t.Errorf("its page: %d", code)
		}
		if code, _, body := post(t, h, at+"/note", url.Values{"label": {"x"}}); code != 409 || !strings.Contains(body, lockedJournal) {
			t.Errorf("%d %.200s", code, body)
		}
		if _, err := os.Stat(book); err == nil {
			t.Error("it has a note")
		}
	})
	t.Run("none", func(t *testing.T) {
		web, _, _ := noted(t)
		web.KeepNotes("")
		h, at := web.Handler(anyHost), "/run/"+idOf(t, web, "a")
		if _, _, body := get(t, h, at); strings.Contains(body, "Add a note") {
			t.Error("a note can be added to no notebook")
		}
		if code, _, _ := post(t, h, at+"/note", url.Values{"label": {"x"}}); code != 409 {
			t.Errorf("a note in no notebook: %d", code)
		}
	})
}

// checkProblem: the pages tell what is wrong with the notes, show all else, and
// keep none.
func checkProblem(t *testing.T, web *Server, title, want string) {
	t.Helper()
	h, at := web.Handler(anyHost), "/run/"+idOf(t, web, "a")
	title = strings.ToLower(strings.ReplaceAll(title, "’", "&#39;"))
	for page, also := range map[string]string{"/": `aria-label="compare a"`, at: "a freed map stays in memory"} {
		code, _, body := get(t, h, page)
		if code != 200 || !strings.Contains(body, also) || !strings.Contains(strings.ToLower(body), title) || !strings.Contains(body, want) || strings.Contains(body, "<textarea") || strings.Contains(body, "<img") {
			t.Errorf("%s: %d, want %q with %q", page, code, title, want)
		}
	}
	if code, _, body := post(t, h, at+"/note", url.Values{"label": {"x"}}); code != 409 || !strings.Contains(body, want) {
		t.Errorf("%d %.400s", code, body)
	}
}

func TestNotesFile(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", "/state")
	if got := NotesFile(); got != "/state/mapprof/notes.json" {
		t.Error(got)
	}
	t.Setenv("XDG_STATE_HOME", "relative")
	t.Setenv("HOME", "/home/me")
	if got := NotesFile(); !strings.HasPrefix(got, "/home/me/") || !strings.HasSuffix(got, "/mapprof/notes.json") {
		t.Error(got)
	}
	t.Setenv("HOME", "")
	if got := NotesFile(); got != "" {
		t.Error(got)
	}
}

// FuzzNotes: whatever a file has, what is taken of it is kept as it is.
func FuzzNotes(f *testing.F) {
	f.Add([]byte(`{"version":1,"notes":{"` + strings.Repeat("0", 64) + `":{"label":"a","note":"b\nc","star":true}}}`))
	f.Add([]byte(`{"version":1,"notes":{"` + strings.Repeat("f", 64) + `":{"label":"\u001b[2J \u202e","note":"\t x \r\n"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		notes, err := decodeBook(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(bookFile{bookVersion, notes})
		if err != nil {
			t.Fatal(err)
		}
		kept, err := decodeBook(again)
		if err != nil || len(kept) != len(notes) {
			t.Fatalf("%v: %d notes of %d", err, len(kept), len(notes))
		}
		for digest, n := range notes {
			if kept[digest] != n {
				t.Fatalf("%+v became %+v", n, kept[digest])
			}
		}
	})
}
