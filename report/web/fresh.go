// SPDX-License-Identifier: Apache-2.0

package web

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
)

// newEpoch is a name for the time that a server runs: what it answers depends on
// the program too.
func newEpoch() string { return rand.Text() }

// fresh answers a browser that has the page of this address and state already, and
// then returns true. Otherwise it names the page for the next time.
func (s *Server) fresh(w http.ResponseWriter, r *http.Request, state ...string) bool {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q", s.epoch, r.URL.Path, r.URL.RawQuery, state)
	tag := `"` + hex.EncodeToString(h.Sum(nil)[:12]) + `"`
	w.Header().Set("Etag", tag)
	w.Header().Set("Cache-Control", "private, no-cache") // keep it, and ask each time
	for known := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimPrefix(strings.TrimSpace(known), "W/") == tag {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
	}
	return false
}

// stateOf is the state of runs and of the notes on them.
func (s *Server) stateOf(runs []*foundRun) []string {
	_, notes, problem := s.notes()
	out := []string{notes, problem, s.book.locked}
	for _, f := range runs {
		out = append(out, f.ID+" "+f.Name+" "+f.stamp)
	}
	return out
}

// versionOf names the state of the list of runs and of the notes on them.
func versionOf(runs, notes string) string {
	sum := sha256.Sum256([]byte(runs + "\n" + notes))
	return hex.EncodeToString(sum[:8])
}
