// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"net/http"
	"slices"

	"github.com/mapprof/mapprof/analyze/history"
	"github.com/mapprof/mapprof/report/html"
	"github.com/mapprof/mapprof/results"
)

// maxHistory is how many runs one history shows.
const maxHistory = 200

// history shows the course of the runs that were chosen, or else of the newest
// ones that can be read.
func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	found, _ := s.store.list()
	ids := r.URL.Query()["run"]
	chosen := slices.DeleteFunc(found, func(f *foundRun) bool {
		return f.Err != "" || len(ids) > 0 && !slices.Contains(ids, f.ID)
	})
	chosen = chosen[:min(maxHistory, len(chosen))]
	notes, _, _ := s.notes()
	h, err := history.Of(func() (history.Input, bool, error) {
		if len(chosen) == 0 {
			return history.Input{}, false, nil
		}
		f := chosen[0]
		chosen = chosen[1:]
		run, err := results.ReadRun(f.path)
		if err != nil {
			return history.Input{}, false, err
		}
		return history.Input{Name: f.Name, Label: notes[f.digest].Label, Run: run}, true, nil
	}, history.Options{})
	if err != nil {
		fail(w, r, err)
		return
	}
	if len(h.Runs) == 0 {
		fail(w, r, errNoRun)
		return
	}
	var buf bytes.Buffer
	if err := html.WriteLiveHistory(&buf, h); err != nil {
		fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(buf.Bytes())
}
