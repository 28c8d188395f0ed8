// SPDX-License-Identifier: Apache-2.0

package web

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/internal/shownpath"
	"github.com/mapprof/mapprof/report/html"
	"github.com/mapprof/mapprof/report/internal/served"
)

// maxNoteForm is how large a form with a note is, with each character escaped.
const maxNoteForm = 64 << 10

// Why a note can't be changed.
const (
	lockedElsewhere = "Notes can be changed only where mapprof web listens on loopback."
	lockedJournal   = "A recording can have a note when it has ended."
)

// KeepNotes keeps notes on runs in a file, which need not be there yet.
func (s *Server) KeepNotes(path string) { s.book.path = path }

// lockNotes leaves notes as they are where others than this machine's users can
// reach the server: it has no password.
func (s *Server) lockNotes(addr net.Addr) {
	if tcp, ok := addr.(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		s.book.locked = lockedElsewhere
	}
}

// notes returns all notes by digest, a name for their state, and what is wrong.
func (s *Server) notes() (map[string]note, string, string) {
	notes, state, err := s.book.all()
	if err != nil {
		return notes, state, safetext.Text(atHome(err).Error())
	}
	return notes, state, ""
}

// atHome names the user's directory as the user does.
func atHome(err error) error {
	home, _ := os.UserHomeDir()
	if len(home) < 2 {
		return err
	}
	return shownpath.In(err, home, "~")
}

func runNote(f *foundRun, notes map[string]note) html.RunNote {
	n := notes[f.digest]
	return html.RunNote{Run: f.Name, Label: n.Label, Text: n.Text, Star: n.Star}
}

// addNotes adds the runs' notes to a page, and where the only run's is changed.
func (s *Server) addNotes(l *html.LiveLinks, at *url.URL, found []*foundRun) {
	if s.book.path == "" {
		return
	}
	notes, _, problem := s.notes()
	l.NotesProblem = problem
	if len(found) > 1 {
		for _, f := range found {
			if n := runNote(f, notes); n.Label != "" || n.Text != "" || n.Star {
				l.Notes = append(l.Notes, n)
			}
		}
		return
	}
	l.Note = &html.NoteForm{RunNote: runNote(found[0], notes), Locked: s.book.locked, MaxLabel: maxLabel, MaxText: maxNote,
		Action: "/run/" + url.PathEscape(found[0].ID) + "/note", Back: at.RequestURI()}
	switch {
	case problem != "":
		l.Note.Locked = "No note can be added until they can be read."
	case found[0].digest == "":
		l.Note.Locked = lockedJournal
	}
}

// starHref is where a button of the list adds or removes a run's star; empty:
// nowhere.
func (s *Server) starHref(f *foundRun, at *url.URL) string {
	if s.book.path == "" || s.book.locked != "" || f.digest == "" {
		return ""
	}
	return "/run/" + url.PathEscape(f.ID) + "/note?" + url.Values{"only": {"star"}, "back": {at.RequestURI()}}.Encode()
}

// note changes a run's note: all of it, or only its star.
func (s *Server) note(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxNoteForm)
	var large *http.MaxBytesError
	switch err := r.ParseForm(); {
	case errors.As(err, &large):
		served.Note(http.StatusRequestEntityTooLarge, "The note isn't kept", "It is too long.").ServeHTTP(w, r)
		return
	case err != nil || !r.PostForm.Has("star") && !r.PostForm.Has("label"):
		served.Note(http.StatusBadRequest, "The note isn't kept", "This is no form of a note.").ServeHTTP(w, r)
		return
	}
	f, err := s.store.find(r.PathValue("id"))
	if err != nil {
		fail(w, r, err)
		return
	}
	if f.digest == "" {
		served.Note(http.StatusConflict, "The note isn't kept", lockedJournal).ServeHTTP(w, r)
		return
	}
	err = s.book.change(f.digest, func(n *note) {
		n.Star = r.PostForm.Get("star") == "1"
		if r.Form.Get("only") != "star" {
			n.Label, n.Text = r.PostForm.Get("label"), r.PostForm.Get("note")
		}
	})
	if err != nil {
		served.Note(http.StatusConflict, "The note isn't kept", atHome(err).Error()).ServeHTTP(w, r)
		return
	}
	http.Redirect(w, r, ownPage(r.Form.Get("back"), "/run/"+url.PathEscape(f.ID)), http.StatusSeeOther)
}

// ownPage is an address of this server, or the other one where it isn't.
func ownPage(at, otherwise string) string {
	u, err := url.Parse(at)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.ContainsAny(u.Path, "\\") {
		return otherwise
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}
