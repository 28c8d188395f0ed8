// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// webPages are all that one run or two have; A stands for the damaged one, B
// for a good one.
var webPages = []string{
	"/",
	"/run/A",
	"/run/A/report.html",
	"/run/A/run.json",
	"/run/A/trace.json",
	"/run/A/pprof/top",
	"/compare?run=B&run=A",
	"/diff/B/A/pprof/top",
}

// TestWebDamagedRuns gives every damage to one server, which says on every
// page what is wrong, goes on with what is not, and ends as it should.
func TestWebDamagedRuns(t *testing.T) {
	t.Chdir(t.TempDir())
	tinyRun(t, "runs/B")
	profileFor(t, "runs/B")
	tinyRun(t, "runs/A")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	var stderr strings.Builder
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"web", "runs", "--no-browser"}, strings.NewReader(""), w, &stderr)
		w.Close()
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	at := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(line)
	_, index := fetch(t, at+"/")
	ids := map[string]string{}
	for _, m := range regexp.MustCompile(`/run/([0-9a-f]{16})"[^>]*>([AB])<`).FindAllStringSubmatch(index, -1) {
		ids[m[2]] = m[1]
	}
	if len(ids) != 2 {
		t.Fatalf("the list has %v:\n%s", ids, index)
	}
	names := strings.NewReplacer(ids["A"], "A", ids["B"], "B")
	pages := strings.NewReplacer("/A", "/"+ids["A"], "=A", "="+ids["A"], "/B", "/"+ids["B"], "=B", "="+ids["B"])

	var text strings.Builder
	for _, d := range damages {
		damagedRun(t, "runs/A", d.file, d.change)
		fmt.Fprintf(&text, "%s\n", d.name)
		last := ""
		for _, page := range webPages {
			status, body := fetch(t, at+pages.Replace(page))
			answer := fmt.Sprintf("  [%s] %s\n", status, names.Replace(saidOfDamage(status, body)))
			if answer != last { // equal answers in a row stand once
				text.WriteString(last)
			}
			fmt.Fprintf(&text, "  GET %s\n", page)
			last = answer
		}
		text.WriteString(last)
	}
	cancel()
	fmt.Fprintf(&text, "Ctrl-C\n  [exit %d] %s\n", <-code, stderr.String())
	checkGolden(t, "damaged-runs-web.golden", text.String())
}

// fetch returns a page's status, or how it was broken off, and its text.
func fetch(t *testing.T, url string) (status, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return "broken off: " + err.Error(), ""
	}
	return fmt.Sprint(resp.StatusCode), string(data)
}

// saidOfDamage is all that an error page says, and what another page says of
// damage.
func saidOfDamage(status, body string) string {
	plain := regexp.MustCompile(`(?s)<(style|script|title).*?</(style|script|title)>`).ReplaceAllString(body, "")
	plain = html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(plain, "\n"))
	var said []string
	for l := range strings.SplitSeq(plain, "\n") {
		l = strings.Join(strings.Fields(l), " ")
		if l == "mapprof" || l == "All runs" { // on every page
			continue
		}
		if l != "" && (status != "200" || regexp.MustCompile(`damaged|truncated|newer mapprof|not a run|can't be read`).MatchString(l)) {
			said = append(said, whereCut(l))
		}
	}
	return strings.Join(said, " / ")
}

// damagedRun writes a run anew and does to one of its files what change says; nil
// removes it.
func damagedRun(t *testing.T, dir, file string, change func([]byte) []byte) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	tinyRun(t, dir)
	profileFor(t, dir)
	path := filepath.Join(dir, file)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if change == nil {
		err = os.Remove(path)
	} else {
		err = os.WriteFile(path, change(good), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
