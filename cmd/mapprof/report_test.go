// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// tinyRun writes a run of ten deaths.
func tinyRun(t *testing.T, dir string) {
	t.Helper()
	w, err := results.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	const id, kernel = "churn/6.12.1/rcu", "6.12.1"
	var deaths []results.Death
	for i := range int64(10) {
		deaths = append(deaths, results.Death{Scenario: id, Path: "rcu", MapID: uint32(i), MapName: "inner", MemBytes: 392,
			PutNS: 1e9 + i*1e6, EnqueueNS: 1e9 + i*1e6 + 1e3, RCUEndNS: 1e9 + i*1e6 + 15e6, FreeNS: 1e9 + i*1e6 + 15e6 + 1e5, FreedNS: 1e9 + i*1e6 + 15e6 + 2e5})
		if err := w.Death(&deaths[i]); err != nil {
			t.Fatal(err)
		}
	}
	dists, err := analyze.DistributionsOf(deaths)
	if err != nil {
		t.Fatal(err)
	}
	phases := map[string]results.Stats{}
	for phase, d := range dists {
		phases[phase] = d.Stats()
		if err := w.Histogram(results.Tag(id, 0, phase), d.Histogram, time.Unix(1, 0), time.Unix(2, 0)); err != nil {
			t.Fatal(err)
		}
	}
	limbo, line := analyze.LimboOf(analyze.SpansOf(deaths, nil, 0))
	paths := map[string]uint64{"rcu": 10}
	run := &results.Run{Tool: results.Tool{Name: "mapprof"}, Targets: []results.Target{{Kind: "vm", Clock: "wall", Kernel: results.Kernel{Release: kernel}}},
		Scenarios: []results.Scenario{{ID: id, Workload: "churn", Kernel: kernel, Strategy: results.Strategy{Requested: "rcu", Observed: "rcu", Paths: paths},
			Phases: phases, Limbo: limbo, Trials: []results.Trial{{Puts: 10, Freed: 10, Expected: 10, Phases: phases, Limbo: limbo, Timeline: line, Paths: paths}}}}}
	if err := w.Finish(run); err != nil {
		t.Fatal(err)
	}
}

func TestReportCommand(t *testing.T) {
	root := t.TempDir()
	dir, out := filepath.Join(root, "a"), filepath.Join(root, "report.html")
	tinyRun(t, dir)
	tinyRun(t, filepath.Join(root, "b"))
	for _, c := range []struct {
		args           []string
		code           int
		stdout, stderr string // parts
	}{
		{[]string{"report", dir}, exitOK, "limbo by percentile, 6.12.1", ""},
		{[]string{"report", dir, filepath.Join(root, "b")}, exitOK, "p99", ""},
		{[]string{"report", dir, "-o", out}, exitOK, "", ""},
		{[]string{"report", dir, "-o", "-"}, exitOK, "<!DOCTYPE html>", ""},
		{[]string{"report", dir, filepath.Join(root, "b"), "-o", "-"}, exitOK, "b against a", ""},
		{[]string{"report", dir, "--scenario", "churn/6.12.1/rcu"}, exitOK, "limbo by percentile, 6.12.1", ""},
		{[]string{"report", dir, "--scenario", "churn/6.12.1/rcu", "-o", "-"}, exitOK, `id="pct-limbo-0"`, ""},
		{[]string{"report", dir, "--scenario="}, exitUsage, "", "--scenario needs an ID"},
		{[]string{"report", dir, "--scenario", "rcu"}, exitFailure, "", "has no scenario rcu (run.json and mapprof report -o list their IDs)"},
		{[]string{"report", dir, "-o", ""}, exitUsage, "", "-o needs a file name"},
		{[]string{"report", dir, "-o", filepath.Join(root, "no", "dir.html")}, exitFailure, "", "no such file or directory"},
		{[]string{"report"}, exitUsage, "", "mapprof report needs a run directory (mapprof report DIR)"},
		{[]string{"report", root}, exitFailure, "", "not a run directory"},
		{[]string{"web", filepath.Join(root, "none")}, exitFailure, "", "no such file or directory"},
		{[]string{"web", root, "--http", "nonsense"}, exitUsage, "", "is not HOST:PORT"},
		{[]string{"web", root, "--http", "203.0.113.1:1", "--no-browser"}, exitFailure, "", "choose another with --http"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), c.args, strings.NewReader(""), &stdout, &stderr)
		if code != c.code || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("%q: exit %d, want %d with %q on stdout and %q on stderr; got\n%.400s\n%s", c.args, code, c.code, c.stdout, c.stderr, stdout.String(), stderr.String())
		}
		if strings.Contains(stdout.String(), "\x1b") {
			t.Errorf("%q: colours where no terminal is", c.args)
		}
	}
	page, err := os.ReadFile(out)
	if err != nil || !bytes.HasPrefix(page, []byte("<!DOCTYPE html>")) {
		t.Errorf("report.html: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(root, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestReportOfManyScenarios: on the terminal there is no sketch of more than can be
// told apart, but one of each.
func TestReportOfManyScenarios(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "many")
	if err := synthetic.WriteMany(dir, 501, 1, true); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args        []string
		tables      int
		with, with2 string
	}{
		{[]string{"report", "-v", dir}, 501, "limbo by percentile: not of more than 500 scenarios (--scenario=ID draws it of one)", "slots=501"},
		{[]string{"report", "-v", dir, "--scenario=churn/7"}, 1, "limbo by percentile, synthetic", "slots=8"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), c.args, strings.NewReader(""), &stdout, &stderr)
		if n := strings.Count(stdout.String(), "share"); code != exitOK || n != c.tables || !strings.Contains(stdout.String(), c.with) || !strings.Contains(stdout.String(), c.with2) {
			t.Errorf("%q: exit %d, %d tables: %.3000s\n%s", c.args, code, n, stdout.String(), stderr.String())
		}
	}
}

func TestWebCommand(t *testing.T) {
	root := t.TempDir()
	tinyRun(t, filepath.Join(root, "a"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"web", root, "--no-browser"}, strings.NewReader(""), w, io.Discard)
		w.Close()
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	at := regexp.MustCompile(`^serving 1 run in 1 directory at (http://127\.0\.0\.1:\d+/) `).FindStringSubmatch(line)
	if at == nil {
		t.Fatalf("it says %q", line)
	}
	for host, want := range map[string]int{"": 200, "evil.example": 403} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at[1], nil)
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			req.Host = host
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("Host %q: %d, want %d", host, resp.StatusCode, want)
		}
	}
	cancel()
	if got := <-code; got != exitOK {
		t.Errorf("it ends with %d, want %d", got, exitOK)
	}
}
