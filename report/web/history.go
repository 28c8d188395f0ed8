// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/history"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/html"
	"github.com/mapprof/mapprof/results"
)

const (
	// maxHistory is how many runs one history shows.
	maxHistory = 200
	// maxHistories is how many histories are kept.
	maxHistories = 4
	// maxProblems is of how many runs that are left out a history says why.
	maxProblems = 10
	// firstFigure is what a trend is of where nothing was chosen.
	firstFigure = results.PhaseLimbo + "/p50"
)

// madeHistory is a history with its runs, and the names of all their figures.
type madeHistory struct {
	key     string
	history *history.History
	runs    []*foundRun
	figures []string
}

// chosenRuns are those runs that can be read and that an address names, or else
// all; and of a directory only, where it names one. The oldest is the first, and
// left of those that are older still are no part.
func chosenRuns(found []*foundRun, q url.Values) (chosen []*foundRun, left int) {
	ids, dir := q["run"], q.Get("dir")
	chosen = slices.DeleteFunc(slices.Clone(found), func(f *foundRun) bool {
		return f.Err != "" || len(ids) > 0 && !slices.Contains(ids, f.ID) || dir != "" && f.dir() != dir
	})
	left = max(0, len(chosen)-maxHistory)
	chosen = chosen[:len(chosen)-left]
	slices.Reverse(chosen)
	return chosen, left
}

// dir is the directory that a run is in, relative to the one that was given.
func (f *foundRun) dir() string { return path.Dir(strings.ReplaceAll(f.Name, "\\", "/")) }

// historyOf makes the history of runs, the oldest first, or has it from the last
// time. It is of one figure, or of all. Runs that can't be read, or whose figures
// contradict each other, are left out of it with a warning; it fails if none is left.
func (s *Server) historyOf(chosen []*foundRun, figure string) (*madeHistory, error) {
	key := strings.Join(append(s.stateOf(chosen), figure), "\n")
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range s.histories {
		if m.key == key {
			s.histories = append(slices.Delete(s.histories, i, i+1), m)
			return m, nil
		}
	}
	notes, _, _ := s.notes()
	m, names, next := &madeHistory{key: key}, map[string]bool{}, 0
	var problems []error
	var err error
	m.history, err = history.Of(func() (history.Input, bool, error) {
		for next < len(chosen) {
			f := chosen[next]
			next++
			run, err := figuresOf(f, names)
			if err == nil {
				m.runs = append(m.runs, f)
				return history.Input{Name: f.Name, Label: notes[f.digest].Label, Run: run}, true, nil
			}
			problems = append(problems, err)
		}
		return history.Input{}, false, nil
	}, history.Options{Figure: figure, KeepOrder: true})
	if err == nil && len(m.runs) == 0 {
		err = errors.Join(problems[:min(1, len(problems))]...)
	}
	if err != nil {
		return nil, err
	}
	for _, p := range problems[:min(maxProblems, len(problems))] {
		m.history.Warnings = append(m.history.Warnings, "left out: "+p.Error())
	}
	if more := len(problems) - maxProblems; more > 0 {
		m.history.Warnings = append(m.history.Warnings, fmt.Sprintf("left out: %d more runs", more))
	}
	m.figures = slices.SortedFunc(maps.Keys(names), compare.Order)
	s.histories = append(s.histories, m)
	if len(s.histories) > maxHistories {
		s.histories = slices.Delete(s.histories, 0, 1)
	}
	return m, nil
}

// figuresOf reads a run, and adds the names of its figures.
func figuresOf(f *foundRun, names map[string]bool) (*results.Run, error) {
	run, err := results.ReadRun(f.path)
	if err != nil {
		return nil, f.problem(err)
	}
	for i := range run.Scenarios {
		figures, err := compare.FiguresOf(&run.Scenarios[i])
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", safetext.Name(f.Name), err)
		}
		for _, f := range figures {
			names[f.Name] = true
		}
	}
	return run, nil
}

// history shows the course of the runs that were chosen, or else of the newest
// ones that can be read.
func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	found, _ := s.store.list()
	chosen, _ := chosenRuns(found, r.URL.Query())
	if len(chosen) == 0 {
		fail(w, r, errNoRun)
		return
	}
	if s.fresh(w, r, s.stateOf(chosen)...) {
		return
	}
	m, err := s.historyOf(chosen, "")
	if err != nil {
		fail(w, r, err)
		return
	}
	var buf bytes.Buffer
	if err := html.WriteLiveHistory(&buf, m.history); err != nil {
		fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(buf.Bytes())
}

// trend shows one figure over the runs of a directory, or over those that were
// chosen.
func (s *Server) trend(w http.ResponseWriter, r *http.Request) {
	found, version := s.store.list()
	q := r.URL.Query()
	chosen, left := chosenRuns(found, q)
	if len(chosen) == 0 {
		fail(w, r, errNoRun)
		return
	}
	if s.fresh(w, r, append(s.stateOf(chosen), version)...) {
		return
	}
	figure := cmp.Or(q.Get("metric"), firstFigure)
	m, err := s.historyOf(chosen, figure)
	if err == nil && q.Get("metric") == "" && len(m.figures) > 0 && !slices.Contains(m.figures, figure) {
		figure = m.figures[0]
		m, err = s.historyOf(chosen, figure)
	}
	if err != nil {
		fail(w, r, err)
		return
	}
	page := html.Trend{Figure: safetext.Name(figure), Scenario: q.Get("scenario"), History: m.history, Left: left, AllHref: "/history"}
	_, _, page.Problem = s.notes()
	for _, f := range m.runs {
		page.Hrefs = append(page.Hrefs, "/run/"+url.PathEscape(f.ID))
	}
	keep := url.Values{}
	for _, id := range q["run"] {
		keep.Add("run", id)
		page.Keep = append(page.Keep, html.Fact{Name: "run", Value: id})
	}
	if dir := q.Get("dir"); dir != "" {
		keep.Set("dir", dir)
	}
	if len(keep) > 0 {
		page.AllHref += "?" + keep.Encode()
	}
	page.Selects = trendChoices(found, m, figure, q)
	var buf bytes.Buffer
	if err := html.WriteTrend(&buf, &page); err != nil {
		fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(buf.Bytes())
}

// trendChoices are a figure, a scenario that has it, and a directory.
func trendChoices(found []*foundRun, m *madeHistory, figure string, q url.Values) []html.Choice {
	figures := html.Choice{Name: "metric", Label: "Figure"}
	for _, name := range m.figures {
		figures.Options = append(figures.Options, html.Option{Value: name, Text: safetext.Name(name), Selected: name == figure})
	}
	if !slices.Contains(m.figures, figure) {
		figures.Options = append(figures.Options, html.Option{Value: figure, Text: safetext.Name(figure), Selected: true})
	}
	out := []html.Choice{figures}
	var scenarios, dirs []string
	for _, sc := range m.history.Scenarios {
		if len(sc.Series) > 0 {
			scenarios = append(scenarios, sc.Name)
		}
	}
	for _, f := range found {
		dirs = append(dirs, f.dir())
	}
	slices.Sort(dirs)
	for _, c := range []struct {
		name, label string
		values      []string
	}{{"scenario", "Scenario", scenarios}, {"dir", "Directory", slices.Compact(dirs)}} {
		if choice, ok := newChoice(c.name, c.label, "all", q.Get(c.name), c.values); ok {
			out = append(out, choice)
		}
	}
	return out
}
