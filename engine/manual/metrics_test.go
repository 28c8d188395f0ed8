// SPDX-License-Identifier: Apache-2.0

//go:build linux

package manual

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/hold"
)

// keepers are the functions of workloads whose first argument is a metric's name.
var keepers = []string{"Add", "one", "timed", "memory", "keepCall"}

// metricNames are the names of metrics in a workload's source: those that stand there as a
// whole, and what others begin with. texts are all texts in it.
func metricNames(t *testing.T, workload string) (whole, begins, texts []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "workloads", workload, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no source of %s: %v", workload, err)
	}
	take := func(e ast.Expr) {
		if sum, ok := e.(*ast.BinaryExpr); ok {
			for {
				left, ok := sum.X.(*ast.BinaryExpr)
				if !ok {
					break
				}
				sum = left
			}
			if begin := text(sum.X); begin != "" {
				begins = append(begins, begin)
			}
		} else if name := text(e); name != "" {
			whole = append(whole, name)
		}
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				sel, ok := n.Fun.(*ast.SelectorExpr)
				if ok && len(n.Args) > 0 && slices.Contains(keepers, sel.Sel.Name) {
					take(n.Args[0])
				}
			case *ast.IndexExpr:
				if sel, ok := n.X.(*ast.SelectorExpr); ok && sel.Sel.Name == "Metrics" {
					take(n.Index)
				}
			case *ast.BasicLit:
				texts = append(texts, text(n))
			}
			return true
		})
	}
	return whole, begins, texts
}

func text(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	s, _ := strconv.Unquote(lit.Value)
	return s
}

// TestMetricsOfSources: the table has each metric that the source of a workload names, and
// none whose name's parts aren't there.
func TestMetricsOfSources(t *testing.T) {
	_, _, shared := metricNames(t, "mapops")
	found := 0
	for _, d := range workloads.All() {
		whole, begins, texts := metricNames(t, d.Name)
		list := metricsOf(d.Name)
		for _, name := range whole {
			found++
			if !slices.ContainsFunc(list, func(m metric) bool { return m.matches(name) }) {
				t.Errorf("%s: no %s in the table", d.Name, name)
			}
		}
		for _, begin := range begins {
			found++
			if !slices.ContainsFunc(list, func(m metric) bool { return strings.HasPrefix(m.name, begin) }) {
				t.Errorf("%s: nothing in the table begins with %s", d.Name, begin)
			}
		}
		all := strings.Join(append(append(texts, shared...), hold.MetricName), "\n")
		for _, m := range list {
			for _, part := range strings.FieldsFunc(m.name, func(r rune) bool { return r == '.' || r == '-' }) {
				if !capitals.MatchString(part) && !strings.Contains(all, part) {
					t.Errorf("%s: its source has no %s, which %s has", d.Name, part, m.name)
				}
			}
		}
	}
	if found < 30 {
		t.Errorf("found only %d metrics in the workloads' sources", found)
	}
}

// TestMetricsOfRuns: the table has each metric of real runs, with its unit.
func TestMetricsOfRuns(t *testing.T) {
	found := 0
	for _, workload := range []string{"lookup", "bigarray"} {
		data, err := os.ReadFile(filepath.Join("..", "..", "cmd", "mapprof", "testdata", "v0", workload, results.RunFile))
		if err != nil {
			t.Fatal(err)
		}
		var run results.Run
		if err := json.Unmarshal(data, &run); err != nil {
			t.Fatal(err)
		}
		for _, s := range run.Scenarios {
			for name, figure := range s.Metrics {
				found++
				i := slices.IndexFunc(metricsNamed(name), func(m metric) bool { return m.workload == s.Workload })
				if i < 0 {
					t.Errorf("%s: no %s in the table", s.Workload, name)
					continue
				}
				if m := metricsNamed(name)[i]; m.unit != figure.Unit || figure.Difference && !m.signed {
					t.Errorf("%s: %s is in %s, in the table in %s; a difference: %v, %v", s.Workload, name, figure.Unit, m.unit, figure.Difference, m.signed)
				}
			}
		}
	}
	if found < 30 {
		t.Errorf("found only %d metrics in runs", found)
	}
}

// TestEachMetric: there is help on each, and no field is empty. Of one workload no two have
// one name.
func TestEachMetric(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range metrics {
		if key := m.workload + " " + m.name; seen[key] {
			t.Errorf("twice: %s", key)
		} else {
			seen[key] = true
		}
		if _, err := workloads.Find(m.workload); err != nil && m.workload != "" {
			t.Error(err)
		}
		example := capitals.ReplaceAllStringFunc(m.name, func(word string) string {
			return map[string]string{"STATE": "limbo", "STREAM": "sent", "CAUSE": "full"}[word] + map[bool]string{true: "", false: "helper"}[parts[word] != ""]
		})
		text, ok := Topic(example, 1000)
		if phase, isPhase := results.PhaseNamed(example); isPhase {
			t.Errorf("%s is the name of the phase %s", m.name, phase.Name)
		}
		for _, want := range []string{m.name + ": " + m.sentence + ".", m.of(), m.unit, m.source, m.kernels()} {
			if !ok || want == "" || !strings.Contains(text, want) {
				t.Errorf("help on %s lacks %q:\n%s", example, want, text)
			}
		}
	}
}

// TestPhasesHaveOrigins: where in the kernel each phase comes from is known.
func TestPhasesHaveOrigins(t *testing.T) {
	for _, name := range results.AllPhases() {
		if o := origins[name]; o.source == "" || o.kernels == "" {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if len(origins) != len(results.AllPhases()) {
		t.Errorf("%d phases have an origin, of %d", len(origins), len(results.AllPhases()))
	}
}
