// SPDX-License-Identifier: Apache-2.0

//go:build prometheus

package export

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"

	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// tool is a program of Debian's that the tests need; without it they fail.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v (make promtest unpacks Debian's)", err)
	}
	return path
}

// serve starts a server of Prometheus' and returns its address when it answers.
func serve(t *testing.T, name string, args ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(tool(t, name), append(args, "--web.listen-address="+address)...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-ended
		if t.Failed() {
			t.Logf("%s:\n%s", name, &said)
		}
	})
	path := "/metrics"
	if name == "prometheus" {
		path = "/-/ready"
	}
	until(t, name+" answers", func() error {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v", name, err)
		default:
		}
		_, err := get("http://" + address + path)
		return err
	})
	return address
}

// until asks until f has no error, a minute at most.
func until(t *testing.T, what string, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func get(address string) (string, error) {
	r, err := http.Get(address)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	if r.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s: %s", address, r.Status, body)
	}
	return string(body), nil
}

// query returns what Prometheus has of mapprof's at that time from a job.
func query(t *testing.T, prometheus, job string, at time.Time) (map[string]float64, error) {
	t.Helper()
	selector := fmt.Sprintf(`{__name__=~"mapprof_.*",job=%q}`, job)
	if job == "" {
		selector = `{__name__=~"mapprof_.*"}`
	}
	body, err := get("http://" + prometheus + "/api/v1/query?" + url.Values{
		"query": {selector}, "time": {at.UTC().Format(time.RFC3339Nano)}}.Encode())
	if err != nil {
		return nil, err
	}
	var answer struct{ Data struct{ Result model.Vector } }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return nil, err
	}
	for _, s := range answer.Data.Result {
		delete(s.Metric, "job")
		delete(s.Metric, "instance")
	}
	return samplesByName(t, answer.Data.Result), nil
}

// expected is the run's figures as a Prometheus should have them. OpenMetrics
// writes the number of a quantile as 1.0, the text format as 1.
func expected(t *testing.T, run *results.Run, openMetrics bool) map[string]float64 {
	t.Helper()
	families, err := metricFamilies(run)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for name, v := range samplesOf(t, families) {
		if openMetrics {
			name = strings.Replace(name, `quantile="1"`, `quantile="1.0"`, 1)
		}
		out[name] = v
	}
	return out
}

// differ says what is unlike in two sets of samples; got may not have more.
func differ(got, want map[string]float64) error {
	var b strings.Builder
	for name, v := range want {
		if g, ok := got[name]; !ok || math.Abs(g-v) > 1e-12*math.Abs(v) {
			fmt.Fprintf(&b, "%s is %v (there: %v), want %v\n", name, g, ok, v)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			fmt.Fprintf(&b, "%s is more\n", name)
		}
	}
	if b.Len() > 0 || len(want) == 0 {
		return fmt.Errorf("of %d samples:\n%s", len(want), &b)
	}
	return nil
}

// earlyRuns are the run directories that commands' scripts read.
func earlyRuns(t *testing.T) []*results.Dir {
	t.Helper()
	paths, err := filepath.Glob("../../cmd/mapprof/testdata/v0/*")
	if err != nil || len(paths) < 4 {
		t.Fatalf("%d runs, %v", len(paths), err)
	}
	var out []*results.Dir
	for _, p := range paths {
		d, err := results.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestPrometheusLint: promtool finds nothing to say about names, units and types.
func TestPrometheusLint(t *testing.T) {
	for _, d := range append(earlyRuns(t), exportDir(t, evil(t))) {
		cmd := exec.Command(tool(t, "promtool"), "check", "metrics")
		cmd.Stdin = strings.NewReader(export(t, "prometheus", d))
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", d.Path, err, out)
		}
	}
}

// TestPrometheusPushgateway: a gateway takes the text format and gives it back.
// It refuses times, which is why there are two formats.
func TestPrometheusPushgateway(t *testing.T) {
	address := serve(t, "prometheus-pushgateway", "--persistence.file=")
	push := func(job, text, kind string) string {
		t.Helper()
		r, err := http.NewRequest(http.MethodPut, "http://"+address+"/metrics/job/"+job, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", kind)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		said, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Status + " " + string(said)
	}
	for _, d := range append(earlyRuns(t), exportDir(t, evil(t))) {
		if said := push("mapprof", export(t, "prometheus", d), "text/plain; version=0.0.4"); !strings.HasPrefix(said, "200") {
			t.Fatalf("%s: %s", d.Path, said)
		}
		text, err := get("http://" + address + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		if err := differ(ours(t, text, "job", "instance"), expected(t, d.Run, false)); err != nil {
			t.Errorf("%s: %v", d.Path, err)
		}
		timed := strings.TrimSuffix(export(t, "openmetrics", d), "# EOF\n")
		if said := push("timed", timed, "text/plain; version=0.0.4"); !strings.HasPrefix(said, "400") {
			t.Errorf("%s: OpenMetrics is taken as well: %s", d.Path, said)
		}
	}
}

// ours are mapprof's samples in what a server shows, without labels that it added.
func ours(t *testing.T, text string, added ...string) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for _, f := range parseText(t, text) {
		if !strings.HasPrefix(f.GetName(), "mapprof_") {
			continue
		}
		for _, m := range f.Metric {
			m.Label = slices.DeleteFunc(m.Label, func(l *dto.LabelPair) bool { return slices.Contains(added, l.GetName()) })
		}
		for name, v := range samplesOf(t, []*dto.MetricFamily{f}) {
			out[name] = v
		}
	}
	return out
}

// TestPrometheusTextfile: node_exporter's textfile collector reads the text format
// and shows it unchanged.
func TestPrometheusTextfile(t *testing.T) {
	for _, d := range append(earlyRuns(t), exportDir(t, evil(t))) {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "mapprof.prom"), export(t, "prometheus", d))
		address := serve(t, "prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile", "--collector.textfile.directory="+dir)
		text, err := get("http://" + address + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text, "\nnode_textfile_scrape_error 0\n") {
			t.Errorf("%s: the collector has an error", d.Path)
		}
		if err := differ(ours(t, text), expected(t, d.Run, false)); err != nil {
			t.Errorf("%s: %v", d.Path, err)
		}
	}
}

// TestPrometheusBackfill: promtool makes blocks of two runs, a day apart, and a
// Prometheus on these blocks has each run's figures at its time.
func TestPrometheusBackfill(t *testing.T) {
	dir := t.TempDir()
	first := time.Now().Add(-48 * time.Hour).Truncate(time.Second)
	var runs []*results.Run
	for i, factor := range []float64{1, 1.5} {
		run := synthetic.Seeded(1, 0, factor, results.ClockWall, uint64(i))
		run.Scenarios[0].Phases = run.Scenarios[0].Trials[0].Phases
		run.Started = first.Add(time.Duration(i) * 24 * time.Hour)
		run.Ended = run.Started.Add(1500 * time.Millisecond)
		runs = append(runs, run)
		file := filepath.Join(t.TempDir(), "run.om")
		writeFile(t, file, export(t, "openmetrics", exportDir(t, run)))
		if out, err := exec.Command(tool(t, "promtool"), "tsdb", "create-blocks-from", "openmetrics", file, dir).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	config := filepath.Join(t.TempDir(), "prometheus.yml")
	writeFile(t, config, "{}\n")
	address := serve(t, "prometheus", "--config.file="+config, "--storage.tsdb.path="+dir)
	for i, run := range runs {
		got, err := query(t, address, "", run.Ended.Add(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if err := differ(got, expected(t, run, true)); err != nil {
			t.Errorf("run %d: %v", i, err)
		}
	}
	out, err := exec.Command(tool(t, "promtool"), "query", "instant", fmt.Sprintf("--time=%d", runs[1].Ended.Unix()+1),
		"http://"+address, `mapprof_phase_seconds_sum{phase="limbo"} / mapprof_phase_seconds_sum{phase="limbo"} offset 1d`).CombinedOutput()
	if err != nil || !strings.Contains(string(out), `phase="limbo"`) || !strings.Contains(string(out), "} => 1.5 @") {
		t.Errorf("a comparison of the two days: %v\n%s", err, out)
	}
}

// TestPrometheusScrape: a Prometheus scrapes an export in OpenMetrics, a gateway
// that was pushed to and a node_exporter with a text file, and has all figures.
func TestPrometheusScrape(t *testing.T) {
	run := evil(t)
	run.Ended = time.Now().Truncate(time.Millisecond)
	d := exportDir(t, run)
	text := export(t, "openmetrics", d)
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
		_, _ = io.WriteString(w, text) // the scrape shows what is missing
	}))
	t.Cleanup(served.Close)
	files := t.TempDir()
	writeFile(t, filepath.Join(files, "mapprof.prom"), export(t, "prometheus", d))
	node := serve(t, "prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile", "--collector.textfile.directory="+files)
	gateway := serve(t, "prometheus-pushgateway", "--persistence.file=")
	answer, err := http.Post("http://"+gateway+"/metrics/job/mapprof", "text/plain; version=0.0.4", strings.NewReader(export(t, "prometheus", d)))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	targets := map[string]string{"file": strings.TrimPrefix(served.URL, "http://"), "node": node, "gateway": gateway}
	config := "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
	for job, target := range targets {
		config += fmt.Sprintf("- {job_name: %s, static_configs: [{targets: ['%s']}], metric_relabel_configs: [{action: labeldrop, regex: exported_job}]}\n", job, target)
	}
	path := filepath.Join(t.TempDir(), "prometheus.yml")
	writeFile(t, path, config)
	prometheus := serve(t, "prometheus", "--config.file="+path, "--storage.tsdb.path="+t.TempDir())
	for job := range targets {
		until(t, "scrape of "+job, func() error {
			got, err := query(t, prometheus, job, time.Now())
			if err != nil {
				return err
			}
			return differ(got, expected(t, run, job == "file"))
		})
	}
}
