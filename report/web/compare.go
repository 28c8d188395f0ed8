// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/mapprof/mapprof/report/internal/served"
	"github.com/mapprof/mapprof/report/model"
)

// maxCompared is how many runs one page shows.
const maxCompared = 16

// compare shows several runs, of which the one named base is what the others are
// compared with. An address without one leads to one with the oldest run as base.
func (s *Server) compare(w http.ResponseWriter, r *http.Request) {
	ids, base := comparedRuns(r.URL.Query())
	switch {
	case len(ids) == 0:
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	case len(ids) > maxCompared:
		served.Note(http.StatusBadRequest, "Too many runs", fmt.Sprintf("One page compares up to %d runs.", maxCompared)).ServeHTTP(w, r)
		return
	}
	chosen := make([]*foundRun, len(ids))
	for i, id := range ids {
		f, err := s.store.find(id)
		if err != nil {
			fail(w, r, err)
			return
		}
		chosen[i] = f
	}
	if base == "" {
		http.Redirect(w, r, withBase(r.URL, oldest(chosen).ID), http.StatusSeeOther)
		return
	}
	if s.fresh(w, r, s.stateOf(chosen)...) {
		return
	}
	var runs []*model.Loaded
	var found []*foundRun
	for _, id := range ids {
		l, f, err := s.store.load(id)
		if err != nil {
			fail(w, r, err)
			return
		}
		runs, found = append(runs, l), append(found, f)
	}
	s.page(w, r, runs, found)
}

// comparedRuns are the runs that an address names, each once and the base first;
// it may name none as base.
func comparedRuns(q url.Values) (ids []string, base string) {
	for _, id := range q["run"] {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	at := slices.Index(ids, q.Get("base"))
	if at < 0 {
		return ids, ""
	}
	base = ids[at]
	return append([]string{base}, slices.Delete(ids, at, at+1)...), base
}

// oldest is the run that was started first; of several the first one.
func oldest(runs []*foundRun) *foundRun {
	return slices.MinFunc(runs, func(a, b *foundRun) int { return a.Started.Compare(b.Started) })
}

// withBase is the address of the same comparison, with another base.
func withBase(at *url.URL, base string) string {
	q := at.Query()
	q.Set("base", base)
	return at.Path + "?" + q.Encode()
}
