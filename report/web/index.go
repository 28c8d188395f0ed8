// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/html"
	"github.com/mapprof/mapprof/report/model"
)

func (s *Server) index(w http.ResponseWriter, r *http.Request) {
	found, version := s.store.list()
	q := r.URL.Query()
	kernel, strategy, mapType, star := q.Get("kernel"), q.Get("strategy"), q.Get("map"), q.Get("star")
	notes, state, problem := s.notes()
	p := html.Index{Version: versionOf(version, state), NotesProblem: problem, Total: len(found), Find: safetext.Name(q.Get("find"))}
	for _, root := range s.store.roots {
		p.Roots = append(p.Roots, safetext.Text(root))
	}
	var kernels, strategies, types, stars []string
	for _, f := range found {
		n := runNote(f, notes)
		if n.Star {
			stars = []string{starred, unstarred}
		}
		kernels, strategies, types = append(kernels, f.Kernels...), append(strategies, f.Strategies...), append(types, f.MapTypes...)
		fits := func(list []string, want string) bool { return want == "" || slices.Contains(list, want) }
		if !fits(f.Kernels, kernel) || !fits(f.Strategies, strategy) || !fits(f.MapTypes, mapType) ||
			!fits([]string{map[bool]string{true: starred, false: unstarred}[n.Star]}, star) || !f.has(p.Find, n) {
			p.Hidden++
			continue
		}
		row := indexRowOf(f)
		row.Note, row.StarHref = n, s.starHref(f, r.URL)
		p.Runs = append(p.Runs, row)
	}
	for _, c := range []struct {
		name, label, selected string
		values                []string
	}{{"kernel", "Kernel", kernel, kernels}, {"strategy", "Strategy", strategy, strategies}, {"map", "Map type", mapType, types}, {"star", "Star", star, stars}} {
		slices.Sort(c.values)
		if ch, ok := newChoice(c.name, c.label, "all", c.selected, slices.Compact(c.values)); ok {
			p.Selects = append(p.Selects, ch)
		}
	}
	var buf bytes.Buffer
	if err := html.WriteIndex(&buf, &p); err != nil {
		fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(buf.Bytes())
}

// Runs by whether they have a star.
const (
	starred   = "with"
	unstarred = "without"
)

// has tells whether each word of a text is part of what the list says of the run,
// in small letters or large ones.
func (f *foundRun) has(text string, n html.RunNote) bool {
	names := slices.Concat([]string{f.Name, n.Label, n.Text}, f.Workloads, f.Kernels, f.Strategies, f.MapTypes)
	all := strings.ToLower(strings.Join(names, "\n"))
	for word := range strings.FieldsSeq(strings.ToLower(text)) {
		if !strings.Contains(all, word) {
			return false
		}
	}
	return true
}

func indexRowOf(f *foundRun) html.IndexRow {
	row := html.IndexRow{ID: f.ID, Name: f.Name, Href: "/run/" + f.ID, Err: f.Err, Trials: f.Trials, Limbo: model.None,
		Deaths: strconv.FormatUint(f.Deaths, 10), Workloads: f.Workloads, Strategies: f.Strategies, MapTypes: f.MapTypes}
	for _, k := range f.Kernels {
		short := model.KernelVersion(k)
		if short == "" {
			short = safetext.Name(k)
		}
		row.Kernels = append(row.Kernels, short)
	}
	if !f.Started.IsZero() {
		row.Started = f.Started.UTC().Format("2006-01-02 15:04 UTC")
	}
	if f.Deaths > 0 {
		row.Limbo = model.FormatDuration(float64(f.Shortest))
		if f.Longest != f.Shortest {
			row.Limbo += " … " + model.FormatDuration(float64(f.Longest))
		}
	}
	for _, b := range f.Bad {
		row.Tags = append(row.Tags, html.Status{Level: "bad", Text: b})
	}
	if f.Warnings > 0 {
		row.Tags = append(row.Tags, html.Status{Level: "warn", Text: model.Plural(uint64(f.Warnings), "warning")})
	}
	if len(row.Tags) == 0 && f.Err == "" {
		row.Tags = append(row.Tags, html.Status{Level: "ok", Text: "sound"})
	}
	return row
}

// Summary says how many runs there are, for a server's first message.
func (s *Server) Summary() string {
	found, _ := s.store.list()
	return fmt.Sprintf("%s in %s", model.Plural(uint64(len(found)), "run"), model.Plural(uint64(len(s.store.roots)), "directory"))
}
