// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mapprof/mapprof/analyze/gate"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/internal/wholefile"
	"github.com/mapprof/mapprof/report/model"
)

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitMessage `xml:"failure"`
	Error   *junitMessage `xml:"error"`
	Skipped *junitMessage `xml:"skipped"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
}

// WriteJUnit writes a verdict as JUnit XML: a blocking metric is a test case
// that fails on a regression and errs when nothing can be said; what only
// advises is skipped and says why. The runs themselves are a case too, which
// errs where nothing can be concluded from them.
func WriteJUnit(w io.Writer, v *gate.Verdict) error {
	s := junitSuite{Name: "mapprof gate"}
	runs := junitCase{Class: "mapprof gate", Name: "the runs can be judged"}
	if len(v.Reasons) > 0 {
		var reasons []string
		for _, r := range v.Reasons {
			reasons = append(reasons, safetext.Text(r))
		}
		runs.Error = &junitMessage{Message: strings.Join(reasons, "; "), Type: gate.VerdictInconclusive}
		s.Errors++
	}
	s.Cases = append(s.Cases, runs)
	for _, c := range v.Checks {
		jc := junitCase{Class: safetext.Name(c.Group), Name: safetext.Name(c.Metric), Out: outcomeText(c)}
		switch {
		case c.Action != gate.ActionBlock:
			jc.Skipped = &junitMessage{Message: "only advises: " + c.Result}
			s.Skipped++
		case c.Result == gate.VerdictRegression:
			jc.Failure = &junitMessage{Message: outcomeText(c), Type: c.Result}
			s.Failures++
		case c.Result == gate.VerdictInconclusive:
			jc.Error = &junitMessage{Message: outcomeText(c), Type: c.Result}
			s.Errors++
		}
		s.Cases = append(s.Cases, jc)
	}
	s.Tests = len(s.Cases)
	data, err := xml.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write junit: %w", err)
	}
	_, err = io.WriteString(w, xml.Header+string(data)+"\n")
	return err
}

// outcomeText says in a line what became of a metric.
func outcomeText(c gate.Check) string {
	text := fmt.Sprintf("%s %s: %s → %s", safetext.Name(c.Group), metricText(c.Metric, c.Unit),
		figureText(c.Base.Median, c.Base.N, c.Unit), figureText(c.Candidate.Median, c.Candidate.N, c.Unit))
	if c.Change != nil {
		text += fmt.Sprintf(" (%s, from %s to %s; limit %s)", changeOf(&c, &c.Change.Estimate), changeOf(&c, c.Change.Lo), changeOf(&c, c.Change.Hi), limitText(c))
	}
	if c.Reason != "" {
		text += ": " + safetext.Text(c.Reason)
	}
	return text
}

// GitHub shows ten annotations of a kind for each step, and no more.
const maxAnnotations = 10

// WriteAnnotations writes a verdict as GitHub workflow commands: an error for
// every blocking metric that got worse, a warning for what is inconclusive,
// and one notice for all that only advises.
func WriteAnnotations(w io.Writer, v *gate.Verdict) error {
	var b bytes.Buffer
	count := map[string]int{}
	var advice []string
	annotate := func(command, title, text string) {
		if count[command]++; count[command] <= maxAnnotations {
			fmt.Fprintf(&b, "::%s title=%s::%s\n", command, escapeProperty(title), escapeData(text))
		}
	}
	for _, r := range v.Reasons {
		annotate("error", "mapprof gate is inconclusive", safetext.Text(r))
	}
	for _, c := range v.Checks {
		switch {
		case c.Result == gate.VerdictRegression && c.Action == gate.ActionBlock:
			annotate("error", "mapprof gate: "+safetext.Name(c.Metric)+" got worse", outcomeText(c))
		case c.Result == gate.VerdictRegression:
			advice = append(advice, safetext.Name(c.Metric))
		case c.Result == gate.VerdictInconclusive && c.Action == gate.ActionBlock:
			annotate("warning", "mapprof gate: "+safetext.Name(c.Metric)+" is inconclusive", outcomeText(c))
		}
	}
	if len(advice) > 0 {
		annotate("notice", "mapprof gate: advice", model.Plural(uint64(len(advice)), "metric")+" that only advise got worse: "+strings.Join(advice, ", "))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// escapeData and escapeProperty are GitHub's rules for what stands after the
// second and the first pair of colons (actions/toolkit, command.ts).
func escapeData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func escapeProperty(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(s)
}

// TellGitHub adds a verdict to the step's summary and annotations, where the
// environment says that there are such things. The runner reads commands from
// standard error too, which leaves standard output to the verdict.
func TellGitHub(stderr io.Writer, v *gate.Verdict, getenv func(string) string) error {
	if getenv("GITHUB_ACTIONS") == "true" {
		if err := WriteAnnotations(stderr, v); err != nil {
			return err
		}
	}
	path := getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	var b bytes.Buffer
	if err := WriteVerdictMarkdown(&b, v); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("write step summary: %w", err)
	}
	_, err = f.Write(append(b.Bytes(), '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write step summary: %w", err)
	}
	return nil
}

// WriteJUnitFile writes a verdict as JUnit XML to a file, whole or not at all.
func WriteJUnitFile(path string, v *gate.Verdict) error {
	var b bytes.Buffer
	if err := WriteJUnit(&b, v); err != nil {
		return err
	}
	return wholefile.Write(path, b.String())
}
