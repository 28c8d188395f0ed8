// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/export"
	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/report/term"
	"github.com/mapprof/mapprof/report/web"
	"github.com/mapprof/mapprof/results"
)

// A phase of a death, one beside it, and a strategy that no kernel has.
var (
	madeUpPart = results.Phase{
		Name: "handover", Kind: results.PartOfDeath, SampleType: "handover_time",
		Sentence: "until the callback has handed the map over", Noun: "handing the map over",
		From: "the callback", To: "the made-up handover",
		Color: results.Color{Light: "#a1b2c3", Dark: "#c3b2a1"},
		End:   func(d *results.Death) int64 { return d.RCUEndNS + (d.FreeNS-d.RCUEndNS)/10*9 },
		// The first is a stage, the second a function.
		SeenBy: [][]string{{"made-up stage"}, {"made_up_handover", "made_up_otherwise"}},
	}
	madeUpWait = results.Phase{
		Name: "lock_wait", Kind: results.BesideDeath, Felt: true,
		Sentence: "what an update waits for a made-up lock", Noun: "waiting for a lock",
		From: "the entry of made_up_lock()", To: "its return",
		SeenBy: [][]string{{"made-up lock"}},
	}
	madeUpStrategy = results.KnownStrategy{Name: "hazard", Sentence: "while a hazard pointer guards it", Class: "c5", Rank: 25}
)

// addMadeUp has them in the tables until the test ends.
func addMadeUp(t *testing.T) {
	t.Helper()
	for _, undo := range []func(){
		results.AddPhase(results.PhaseQueue, madeUpPart),
		results.AddPhase(results.PhaseOp, madeUpWait),
		results.AddStrategy(madeUpStrategy),
	} {
		t.Cleanup(undo)
	}
}

// madeUpDeaths have every phase of the table, and a handover that takes most of their time: longer on the
// made-up strategy, which waits for a grace period as well.
func madeUpDeaths(scenario, strategy string, trialIx int, factor float64, r *rand.Rand) []results.Death {
	path, wait := strategy, 20e6
	if strategy == madeUpStrategy.Name {
		path, wait = strategy+"+"+results.StrategyRCU, 200e6
	}
	scale := factor * (1 + 0.0001*r.NormFloat64())
	var deaths []results.Death
	for i := range int64(40) {
		d := results.Death{Scenario: scenario, Trial: trialIx, Path: path, MapID: uint32(i + 1), MapType: "Array", MapName: "inner", MemBytes: 392, Stack: "stack",
			PutNS: 1e9 + i*1e6}
		d.EnqueueNS = d.PutNS + int64(5000*scale)
		d.TasksTraceEndNS = d.EnqueueNS + int64(1e6*scale)
		d.RCUEnqueueNS, d.RCUEndNS = d.TasksTraceEndNS, d.TasksTraceEndNS+int64(9e6*scale)
		d.FreeNS = d.RCUEndNS + int64(wait*scale)
		d.FreeWaitNS = int64(20e3 * scale)
		d.FreedNS = d.FreeNS + int64(50e3*scale)
		deaths = append(deaths, d)
	}
	return deaths
}

// writeMadeUp writes a run of both strategies on the deterministic clock, whose
// times are factor times what they should be.
func writeMadeUp(t *testing.T, dir string, factor float64) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w, err := results.Create(dir)
	check(err)
	began := time.Unix(int64(1000*factor), 0)
	run := &results.Run{
		Tool: results.Tool{Name: "mapprof"}, Started: began, Ended: began.Add(time.Minute),
		Targets: []results.Target{{Kind: "vm", Accel: "tcg", Clock: results.ClockICount, CPUs: 1, Kernel: results.Kernel{Release: "6.12.1"}}},
		Stacks:  map[string][]results.Frame{"stack": {{Function: "bpf_map_put"}, {Function: "__sys_bpf"}}},
	}
	run.Target = run.Targets[0]
	b, sum, r := profile.NewBuilder(), analyze.NewSummer(), rand.New(rand.NewPCG(uint64(1000*factor), 1))
	for _, strategy := range []string{madeUpStrategy.Name, results.StrategyRCU} {
		sc := results.Scenario{ID: "churn/6.12.1/" + strategy, Workload: "churn", Loop: "closed", Kernel: "6.12.1", Params: map[string]string{"inner": "array"}}
		sc.Strategy.Requested = strategy
		for i := range 3 {
			deaths := madeUpDeaths(sc.ID, strategy, i, factor, r)
			dists, err := analyze.DistributionsOf(deaths)
			check(err)
			for _, phase := range results.BesidePhases() {
				dists[phase] = analyze.NewDistribution()
			}
			tr := results.Trial{Index: i, Puts: 40, Freed: 40, Expected: 40, Ops: 40, Paths: map[string]uint64{}, Phases: map[string]results.Stats{}, Loss: map[string]uint64{}}
			for j := range deaths {
				for _, phase := range results.BesidePhases() {
					check(dists[phase].Record(deaths[j].RCUEndNS - deaths[j].PutNS))
				}
				check(b.Add(&deaths[j]))
				check(w.Death(&deaths[j]))
				tr.Paths[deaths[j].Path]++
			}
			for phase, d := range dists {
				tr.Phases[phase] = d.Stats()
				check(sum.AddHistogram(sc.ID, phase, i, d.Histogram))
				check(w.Histogram(results.Tag(sc.ID, i, phase), d.Histogram, began, began.Add(time.Second)))
			}
			tr.Limbo, tr.Timeline = analyze.LimboOf(analyze.SpansOf(deaths, nil, 0))
			sc.Trials = append(sc.Trials, tr)
		}
		run.Scenarios = append(run.Scenarios, sc)
	}
	check(sum.Finish(run))
	p, err := b.Build(run.Stacks, profile.MetaOf(run))
	check(err)
	var gz bytes.Buffer
	check(profile.Write(&gz, p))
	check(w.Profile(gz.Bytes()))
	check(w.Finish(run))
}

// must holds an output to having everything that it should.
func must(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			if len(text) > 3000 {
				text = text[:3000] + " …"
			}
			t.Errorf("%s has no %q:\n%s", what, p, text)
			return
		}
	}
}

// mapprofOK runs the program, which must end with that exit code.
func mapprofOK(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	code, stdout, stderr := mapprof(t, args...)
	if code != want {
		t.Fatalf("mapprof %s: exit %d, want %d: %s", strings.Join(args, " "), code, want, stderr)
	}
	return stdout, stderr
}

// TestTablesReachEveryOutput: a phase and a strategy are in their table and
// nowhere else, and every output has them. One that has a list of its own fails
// here.
func TestTablesReachEveryOutput(t *testing.T) {
	addMadeUp(t)
	root := t.TempDir()
	a, b := filepath.Join(root, "a"), filepath.Join(root, "b")
	writeMadeUp(t, a, 1)
	writeMadeUp(t, b, 1.5)
	t.Run("terminal", func(t *testing.T) { tablesReachTerminal(t, a) })
	t.Run("compare", func(t *testing.T) { tablesReachCompare(t, a, b) })
	t.Run("gate", func(t *testing.T) { tablesReachGate(t, a, b) })
	t.Run("doctor", tablesReachDoctor)
	t.Run("profile", func(t *testing.T) { tablesReachProfile(t, a) })
	t.Run("export", func(t *testing.T) { tablesReachExports(t, a) })
	t.Run("help", tablesReachHelp)
	t.Run("page", func(t *testing.T) {
		page, _ := mapprofOK(t, exitOK, "report", a, "-o", "-")
		style, _, _ := strings.Cut(page[strings.Index(page, "<style>"):], "</style>")
		tablesReachPage(t, page, style)
	})
	t.Run("web", func(t *testing.T) { tablesReachWeb(t, root) })
}

func tablesReachTerminal(t *testing.T, dir string) {
	l, err := model.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, width := range []int{60, 100, 200} {
		var table bytes.Buffer
		if err := term.WriteTable(&table, l.Run, term.Options{Width: width}); err != nil {
			t.Fatal(err)
		}
		must(t, fmt.Sprintf("the table, %d wide,", width), table.String(), "\n handover ", "\n lock_wait ", "hazard → hazard, 120 deaths")
		if strings.Contains(table.String(), "was requested") {
			t.Errorf("the wait with the least rank doesn't name the path:\n%s", &table)
		}
	}
	var sketch bytes.Buffer
	if err := term.WriteSketch(&sketch, l, term.Options{Color: true}); err != nil {
		t.Fatal(err)
	}
	must(t, "the sketch", sketch.String(), "limbo by percentile", "\x1b[36m●\x1b[0m hazard") // c5
}

func tablesReachCompare(t *testing.T, a, b string) {
	for format, escaped := range map[string]string{"table": "lock_wait", "markdown": `lock\_wait`, "csv": "lock_wait", "json": "lock_wait"} {
		text, _ := mapprofOK(t, exitOK, "compare", a, b, "--format", format)
		must(t, "compare --format "+format, text, "handover/p50", escaped+"/p50", "churn hazard")
		// In the order of the table.
		at := func(metric string) int { return strings.Index(text, metric+"/p50") }
		if order := []int{at("enqueue"), at("handover"), at("free"), at("limbo"), at(escaped)}; !slices.IsSorted(order) {
			t.Errorf("compare --format %s is out of order:\n%s", format, text)
		}
		text, _ = mapprofOK(t, exitOK, "compare", a, "--by", "strategy", "--format", format)
		must(t, "compare --by strategy --format "+format, text, "hazard", "handover/p50", escaped+"/p50")
	}
}

func tablesReachGate(t *testing.T, a, b string) {
	t.Setenv("GITHUB_ACTIONS", "true")
	summary, junit := filepath.Join(t.TempDir(), "summary"), filepath.Join(t.TempDir(), "junit.xml")
	t.Setenv("GITHUB_STEP_SUMMARY", summary)
	for _, format := range []string{"table", "markdown", "csv", "json"} {
		name := "lock_wait"
		if format == "markdown" {
			name = `lock\_wait`
		}
		text, annotations := mapprofOK(t, exitRegression, "gate", "--baseline", a, "--candidate", b, "--format", format, "--junit", junit)
		must(t, "gate --format "+format, text, name+"/p50", "handover/p50", "hazard")
		must(t, "the annotations", annotations, "::error title=mapprof gate%3A lock_wait/p50 got worse::churn hazard", "handover/p50")
	}
	for what, path := range map[string]string{"JUnit XML": junit, "the step's summary": summary} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		must(t, what, strings.ReplaceAll(string(data), `\`, ""), "lock_wait/p50", "handover/p50", "hazard")
	}
	// By default a phase that a user waits for blocks, and others advise.
	text, _ := mapprofOK(t, exitRegression, "gate", "--baseline", a, "--candidate", b)
	blocks, advises, ok := strings.Cut(text, ": what advises")
	if !ok || !strings.Contains(blocks, "lock_wait/p50") || strings.Contains(blocks, "handover") || !strings.Contains(advises, "handover/p50") {
		t.Errorf("of the made-up phases another one blocks:\n%s", text)
	}
}

func tablesReachDoctor(t *testing.T) {
	show := func(format string, attachments ...probes.Attachment) string {
		var out bytes.Buffer
		d := trial.Diagnosis{Target: results.Target{Kind: "local", Kernel: results.Kernel{Release: "6.12.1"}}, Phases: trial.VisiblePhases(attachments)}
		if err := showDiagnoses(&out, []trial.Diagnosis{d}, format); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	all := []probes.Attachment{
		{Stage: "made-up stage", Function: "made_up_stage", Mechanism: probes.MechanismFentry},
		{Stage: "other", Function: "made_up_otherwise", Mechanism: probes.MechanismKprobe},
		{Stage: "made-up lock", Function: "made_up_lock", Mechanism: probes.MechanismFentry},
	}
	must(t, "doctor", show("table", all...), "\nvisible         handover, lock_wait\nnot visible     enqueue")
	must(t, "doctor --format json", show("json", all...), `"handover"`, `"lock_wait"`)
	must(t, "doctor, not attached", strings.Join(strings.Fields(show("table", all[0])), " "),
		" visible none not visible enqueue, tasks_trace_gp, rcu_gp, handover, queue, free_wait, free, limbo, update_wait, lock_wait")
}

func tablesReachProfile(t *testing.T, dir string) {
	f, err := os.Open(filepath.Join(dir, results.ProfileFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := profile.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, s := range p.SampleType {
		types = append(types, s.Type)
	}
	if !slices.Equal(types, profile.SampleTypes()) {
		t.Errorf("its sample types are %v, and %v is said to be", types, profile.SampleTypes())
	}
	own, samples := slices.Index(types, madeUpPart.SampleType), 0
	if own < 0 {
		t.Fatalf("no sample type of the phase: %v", types)
	}
	for _, s := range p.Sample {
		leaf := s.Location[0].Line[0].Function.Name == profile.PhaseFrame+madeUpPart.Name
		if leaf != (s.Value[own] > 0) {
			t.Errorf("leaf %s has %d ns of the phase", s.Location[0].Line[0].Function.Name, s.Value[own])
		}
		if leaf && s.HasLabel("strategy", madeUpStrategy.Name) && s.HasLabel("strategy_requested", madeUpStrategy.Name) {
			samples++
			if s.Value[0] != 120 {
				t.Errorf("the phase is to blame for %d of 120 deaths", s.Value[0])
			}
		}
	}
	if samples != 1 {
		t.Errorf("%d samples of the phase with the strategy's labels", samples)
	}
}

func tablesReachExports(t *testing.T, dir string) {
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range export.All() {
		var out bytes.Buffer
		if err := e.Write(d, &out); err != nil {
			t.Errorf("%s: %v", e.Name, err)
			continue
		}
		want := []string{madeUpPart.Name, madeUpStrategy.Name}
		if e.Name != "trace" { // which is of deaths
			want = append(want, madeUpWait.Name)
		}
		must(t, "export "+e.Name, out.String(), want...)
	}
}

func tablesReachHelp(t *testing.T) {
	help, _ := mapprofOK(t, exitOK, "run", "--help")
	must(t, "the help of run", strings.Join(strings.Fields(help), " "), "tasks-trace, sync, hazard")
	must(t, "the help of pprof", newPprofCmd().Long, "rcu_gp, handover_time,")
	help, _ = mapprofOK(t, exitOK, "gate", "--help")
	must(t, "the help of gate", help, "update_wait, lock_wait, op,")
	for line := range strings.Lines(newPprofCmd().Long) {
		if len(line) > 91 {
			t.Errorf("a line of %d: %s", len(line), line)
		}
	}
}

// section is the part of a page with that id.
func section(t *testing.T, page, id string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, `<section id="`+id+`"`)
	text, _, _ := strings.Cut(rest, "</section>")
	if !ok {
		t.Errorf("no section %s", id)
	}
	return text
}

func tablesReachPage(t *testing.T, page, style string) {
	must(t, "the summary", section(t, page, "summary"), `<data class="figure c5"`, " while a hazard pointer guards it", "of the longest is handing the map over", `<span class="key c5"></span>hazard`)
	phases := section(t, page, "phases")
	must(t, "the bars", phases, `<rect class="ph-handover"`, "<title>handover: ", ", handover 85.7%,", // of the label
		`<li title="until the callback has handed the map over"><span class="key ph-handover"></span>handover</li>`,
		`<dt>handover</dt><dd>until the callback has handed the map over (from the callback to the made-up handover)</dd>`)
	latency := section(t, page, "latency")
	must(t, "the curves", latency, `id="pct-tab-handover"`, `id="dist-tab-handover"`, `id="pct-tab-lock_wait"`, `id="dist-tab-lock_wait"`)
	must(t, "the flame graph", section(t, page, "callers"), "[phase] handover", `<rect class="ph-handover"`)
	must(t, "the figures", section(t, page, "figures"), `title="until the callback has handed the map over">handover`, `title="what an update waits for a made-up lock">lock_wait`)
	compared, more, _ := strings.Cut(section(t, page, "compare"), "more figures")
	must(t, "the comparison", compared, "lock_wait/p50")
	must(t, "the comparison's other figures", more, "handover/p50")

	colors := func(color string) string { return " --p-handover: " + color + ";" }
	before, dark, ok := strings.Cut(style, "@media (prefers-color-scheme: dark) { :root { --p-")
	_, print, ok2 := strings.Cut(dark, "@media print { :root { --p-")
	if !ok || !ok2 {
		t.Fatal("the style has no colours of phases for dark pages and paper")
	}
	must(t, "the style", before, colors("#a1b2c3"))
	must(t, "the dark style", dark[:strings.Index(dark, "}")], colors("#c3b2a1"))
	must(t, "the style on paper", print[:strings.Index(print, "}")], colors("#a1b2c3"))
	must(t, "the style", print, ".ph-handover { --c: var(--p-handover); }")
	// Every tab opens a panel.
	tabs := strings.Count(latency, `name="pct"`)
	if tabs != len(results.AllPhases()) {
		t.Errorf("%d tabs", tabs)
	}
	for i := range tabs {
		must(t, "the style", style, fmt.Sprintf(".tabs > input:nth-of-type(%d):checked ~ .panels > :nth-child(%[1]d)", i+1))
	}

	_, rest, _ := strings.Cut(page, `<script type="application/json" id="data">`)
	body, _, _ := strings.Cut(rest, "</script>")
	var data struct {
		Phases []string
		Plots  []struct{ ID string }
		Flame  struct{ Frames []string }
	}
	if err := json.Unmarshal([]byte(body), &data); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(data.Phases, results.DeathPhases()) || !slices.Contains(data.Flame.Frames, "[phase] handover") {
		t.Errorf("the script is told of phases %v and frames %v", data.Phases, data.Flame.Frames)
	}
	for _, id := range []string{"pct-handover-0", "pct-lock_wait-0"} {
		if !slices.ContainsFunc(data.Plots, func(p struct{ ID string }) bool { return p.ID == id }) {
			t.Errorf("the script has no plot %s", id)
		}
	}
}

func tablesReachWeb(t *testing.T, root string) {
	server, err := web.New([]string{root})
	if err != nil {
		t.Fatal(err)
	}
	h := server.Handler(func(string) bool { return true })
	get := func(path string) string {
		t.Helper()
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		if rec.Code != http.StatusOK {
			t.Fatalf("%s: %d", path, rec.Code)
		}
		return rec.Body.String()
	}
	index := get("/")
	must(t, "the list of runs", index, `<span class="tag">hazard</span>`, `<option value="hazard">hazard</option>`)
	ids := regexp.MustCompile(`<tr data-run="([0-9a-f]+)"`).FindAllStringSubmatch(index, -1)
	if len(ids) != 2 {
		t.Fatalf("%d runs are listed", len(ids))
	}
	page, style := get("/run/"+ids[0][1]), get("/assets/report.css")
	tablesReachPage(t, page, style)
	script := get("/assets/report.js")
	must(t, "the script", script, "data.phases")
	if strings.Contains(script, results.PhaseRCUGP) {
		t.Error("the script names a phase itself")
	}
	must(t, "the page's filters", page, `<option value="hazard">hazard</option>`)
	must(t, "one strategy's page", get("/run/"+ids[0][1]+"?strategy=hazard"), " while a hazard pointer guards it")
	must(t, "pprof's view", get("/run/"+ids[0][1]+"/pprof/top?si=handover_time"), "[phase] handover", "limbo_byte_seconds")
	must(t, "the page of two runs", get("/compare?run="+ids[0][1]+"&run="+ids[1][1]+"&base="+ids[1][1]), "lock_wait/p50", "handover/p50", `<rect class="ph-handover"`)
	must(t, "the timeline", get("/run/"+ids[0][1]+"/trace.json"), `"name":"handover"`)
}
