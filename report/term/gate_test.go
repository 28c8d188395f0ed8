// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/gate"
	"github.com/mapprof/mapprof/analyze/gate/selftest"
	"github.com/mapprof/mapprof/internal/golden"
	"github.com/mapprof/mapprof/results"
)

// verdicts are those that are shown, by the name of their golden file.
func verdicts(t *testing.T) map[string]*gate.Verdict {
	judge := func(in []compare.Input) *gate.Verdict {
		return gate.Judge(in[0], in[1], nil, gate.DefaultPolicy())
	}
	missing := comparedInputs(3, "icount", 1, 1)
	for i := range missing[1].Run.Scenarios[0].Trials {
		delete(missing[1].Run.Scenarios[0].Trials[i].Phases, results.PhaseUpdateWait)
	}
	evil := comparedInputs(3, "icount", 1, 1.5)
	for i := range evil {
		evil[i].Run.Scenarios[0].Workload = "::error::\x1b[31m##[group]|<b>@me"
		evil[i].Run.Scenarios[0].Strategy.Requested = "50%,\"x\": y"
	}
	return map[string]*gate.Verdict{
		"gate-pass":         judge(comparedInputs(3, "icount", 1, 1)),
		"gate-regression":   judge(comparedInputs(3, "icount", 1, 1.01)),
		"gate-missing":      judge(missing),
		"gate-few":          judge(comparedInputs(2, "icount", 1, 1)),
		"gate-advice":       judge(comparedInputs(10, "wall", 1, 1.2)),
		"gate-evil":         judge(evil),
		"gate-inconclusive": gate.Inconclusive("a", "b", "read b/run.json: unexpected end of JSON input (the file is damaged or truncated)", "open run a: no such directory"),
	}
}

func TestWriteVerdict(t *testing.T) {
	first := map[string]string{gate.VerdictPass: "PASS: ", gate.VerdictRegression: "REGRESSION: ", gate.VerdictInconclusive: "INCONCLUSIVE: "}
	for name, v := range verdicts(t) {
		var b bytes.Buffer
		if err := WriteVerdict(&b, v, Options{}); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, filepath.Join("testdata", name+".golden"), b.String())
		harmless(t, name, b.String())
		if !strings.HasPrefix(b.String(), first[v.Verdict]) {
			t.Errorf("%s doesn't begin with its verdict", name)
		}
		b.Reset()
		if err := WriteVerdictMarkdown(&b, v); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, filepath.Join("testdata", name+".md"+".golden"), b.String())
		harmless(t, name, b.String())
	}
}

func TestVerdictData(t *testing.T) {
	for name, v := range verdicts(t) {
		var b bytes.Buffer
		if err := WriteVerdictJSON(&b, v); err != nil {
			t.Fatal(err)
		}
		var back gate.Verdict
		if err := json.Unmarshal(b.Bytes(), &back); err != nil || back.Verdict != v.Verdict || len(back.Checks) != len(v.Checks) {
			t.Errorf("%s: %v", name, err)
		}
		b.Reset()
		if err := WriteVerdictCSV(&b, v); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&b).ReadAll()
		if err != nil || len(rows) != 1+len(v.Reasons)+len(v.Checks) {
			t.Errorf("%s: %d rows, %v", name, len(rows), err)
		}
		for _, r := range rows[1:] {
			if r[0] != v.Verdict {
				t.Errorf("%s: row %q", name, r)
			}
		}
	}
}

func TestWriteJUnit(t *testing.T) {
	for name, v := range verdicts(t) {
		var b bytes.Buffer
		if err := WriteJUnit(&b, v); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, filepath.Join("testdata", name+".junit"+".golden"), b.String())
		var s junitSuite
		if err := xml.Unmarshal(b.Bytes(), &s); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		failed, erred := s.Failures > 0, s.Errors > 0
		if failed != (v.Verdict == gate.VerdictRegression) || v.Verdict == gate.VerdictInconclusive && !erred || v.Verdict == gate.VerdictPass && erred {
			t.Errorf("%s: %d failures, %d errors", name, s.Failures, s.Errors)
		}
		if s.Tests != len(s.Cases) || s.Tests != 1+len(v.Checks) {
			t.Errorf("%s: %d of %d cases", name, s.Tests, len(v.Checks))
		}
	}
}

func TestWriteAnnotations(t *testing.T) {
	for name, v := range verdicts(t) {
		var b bytes.Buffer
		if err := WriteAnnotations(&b, v); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, filepath.Join("testdata", name+".annotations"+".golden"), b.String())
		for line := range strings.Lines(b.String()) {
			parts := strings.Split(strings.TrimSpace(line), "::")
			if len(parts) < 3 || parts[0] != "" || strings.Count(parts[1], ",") > 0 || strings.Contains(line, "\x1b") {
				t.Errorf("%s: %q", name, line)
			}
		}
	}
	v := verdicts(t)["gate-regression"]
	for range 30 {
		v.Checks = append(v.Checks, v.Checks[0])
	}
	var b bytes.Buffer
	if err := WriteAnnotations(&b, v); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "::error "); n != maxAnnotations {
		t.Errorf("%d errors; a step shows %d", n, maxAnnotations)
	}
	if got := escapeData("100%\r\n::x"); got != "100%25%0D%0A::x" {
		t.Error(got)
	}
	if got := escapeProperty("a: b, 1%"); got != "a%3A b%2C 1%25" {
		t.Error(got)
	}
}

func TestWriteSelfTest(t *testing.T) {
	rates := []selftest.Rate{
		{Kind: "unchanged", Source: selftest.SourceReal, Want: gate.VerdictPass, Pairs: 50, Pass: 50, Note: "3 boots a side"},
		{Kind: "figures +1 %", Source: selftest.SourceSynthetic, Want: gate.VerdictRegression, Pairs: 50, Regression: 50},
		{Kind: "trials removed", Source: selftest.SourceCut, Want: gate.VerdictInconclusive, Pairs: 20, Inconclusive: 20, Note: "one, all but one, all; of either side"},
	}
	var b bytes.Buffer
	if err := WriteSelfTest(&b, rates, nil, false, Options{}); err != nil {
		t.Fatal(err)
	}
	rates[0].Pass, rates[0].Regression = 49, 1
	if err := WriteSelfTest(&b, rates, nil, false, Options{}); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join("testdata", "gate-selftest"+".golden"), b.String())
}

// TestTellGitHub tells it twice: a step's summary is added to.
func TestTellGitHub(t *testing.T) {
	v := verdicts(t)["gate-regression"]
	summary := filepath.Join(t.TempDir(), "summary.md")
	var want, stderr bytes.Buffer
	if err := errors.Join(WriteVerdictMarkdown(&want, v), WriteAnnotations(&stderr, v)); err != nil {
		t.Fatal(err)
	}
	annotations := stderr.String()
	for _, c := range []struct {
		env             map[string]string
		stderr, summary string
	}{
		{},
		{env: map[string]string{"GITHUB_ACTIONS": "true"}, stderr: annotations},
		{env: map[string]string{"GITHUB_STEP_SUMMARY": summary}, summary: want.String() + "\n"},
		{env: map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": summary}, stderr: annotations, summary: want.String() + "\n" + want.String() + "\n"},
	} {
		stderr.Reset()
		if err := TellGitHub(&stderr, v, func(name string) string { return c.env[name] }); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(summary)
		if c.summary != "" && err != nil || string(got) != c.summary || stderr.String() != c.stderr {
			t.Errorf("%v: summary %q, %v, standard error %q", c.env, got, err, stderr.String())
		}
	}
	if err := TellGitHub(&stderr, v, func(string) string { return filepath.Join(summary, "nowhere") }); err == nil {
		t.Error("no error where no summary can be written")
	}
}
