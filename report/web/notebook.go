// SPDX-License-Identifier: Apache-2.0

package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/mapprof/mapprof/internal/regularfile"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/internal/wholefile"
)

// Bounds of a notebook.
const (
	maxLabel     = 100 // characters
	maxNote      = 4000
	maxNotes     = 5000
	maxBookBytes = 8 << 20
	bookVersion  = 1
)

// note is what somebody says of a run.
type note struct {
	Label string `json:"label,omitempty"`
	Text  string `json:"note,omitempty"`
	Star  bool   `json:"star,omitempty"`
}

// bookFile is a notebook's JSON. Notes are by the SHA-256 of run.json.
type bookFile struct {
	Version int             `json:"version"`
	Notes   map[string]note `json:"notes"`
}

// notebook keeps notes on runs in one file of the user's own. The runs'
// directories, which may be somebody else's or read-only, are left as they are,
// and a note stays with its run wherever that is moved. Its methods may be called
// from any goroutine.
type notebook struct {
	path   string // empty: none is kept
	locked string // why no note can be changed

	mu    sync.Mutex
	stamp string
	notes map[string]note
	err   error
}

// NotesFile is where a user's notes on runs are kept; empty: nowhere.
func NotesFile() string {
	base := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) {
		home, err := os.UserHomeDir()
		if err != nil || !filepath.IsAbs(home) {
			return ""
		}
		base = filepath.Join(home, ".local", "state")
		if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
			if base, err = os.UserConfigDir(); err != nil {
				return ""
			}
		}
	}
	return filepath.Join(base, "mapprof", "notes.json")
}

// all returns the notes as they are now and a name for their state. An error
// tells why there are none to be shown.
func (b *notebook) all() (map[string]note, string, error) {
	if b.path == "" {
		return nil, "", nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refresh()
	return b.notes, b.stamp, b.err
}

func (b *notebook) refresh() {
	st, err := os.Stat(b.path)
	stamp := "none"
	switch {
	case err == nil:
		stamp = fmt.Sprintf("%d-%d-%v", st.ModTime().UnixNano(), st.Size(), st.Mode())
	case !errors.Is(err, os.ErrNotExist):
		stamp = err.Error()
	}
	if stamp != b.stamp || b.notes == nil {
		b.notes, b.err = readBook(b.path)
		b.stamp = stamp
	}
}

// readBook reads a notebook; there are no notes where there is no file.
func readBook(path string) (map[string]note, error) {
	none := map[string]note{}
	f, err := regularfile.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return none, fmt.Errorf("the notes can't be read: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBookBytes+1))
	if err != nil {
		return none, fmt.Errorf("the notes can't be read: %w", err)
	}
	notes, err := decodeBook(data)
	if err != nil {
		return none, fmt.Errorf("the notes can't be read: %s is damaged: %w (move it away to begin anew)", path, err)
	}
	return notes, nil
}

var digestText = regexp.MustCompile(`^[0-9a-f]{64}$`)

func decodeBook(data []byte) (map[string]note, error) {
	if len(data) > maxBookBytes {
		return nil, fmt.Errorf("larger than %d bytes", maxBookBytes)
	}
	var book bookFile
	if err := json.Unmarshal(data, &book); err != nil {
		return nil, err
	}
	if book.Version != bookVersion {
		return nil, fmt.Errorf("version %d, and this mapprof knows %d", book.Version, bookVersion)
	}
	if len(book.Notes) > maxNotes {
		return nil, fmt.Errorf("more than %d notes", maxNotes)
	}
	notes := make(map[string]note, len(book.Notes))
	for digest, n := range book.Notes {
		if !digestText.MatchString(digest) {
			return nil, fmt.Errorf("%q is no run's digest", safetext.Name(digest))
		}
		n.clean()
		if err := n.check(); err != nil {
			return nil, err
		}
		notes[digest] = n
	}
	return notes, nil
}

func (n *note) clean() {
	n.Label = strings.TrimSpace(safetext.Text(n.Label))
	n.Text = strings.TrimSpace(safetext.Lines(strings.ReplaceAll(n.Text, "\r\n", "\n")))
}

func (n *note) check() error {
	switch {
	case utf8.RuneCountInString(n.Label) > maxLabel:
		return fmt.Errorf("a label has up to %d characters", maxLabel)
	case utf8.RuneCountInString(n.Text) > maxNote:
		return fmt.Errorf("a note has up to %d characters", maxNote)
	}
	return nil
}

// change replaces a run's note by what edit makes of it. What another program
// wrote meanwhile is kept; a file that can't be read is never overwritten.
func (b *notebook) change(digest string, edit func(*note)) error {
	switch {
	case b.path == "":
		return errors.New("no notes are kept here")
	case b.locked != "":
		return errors.New(b.locked)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	notes, err := readBook(b.path)
	if err != nil {
		return err
	}
	n := notes[digest]
	edit(&n)
	n.clean()
	if err := n.check(); err != nil {
		return err
	}
	if n == (note{}) {
		delete(notes, digest)
	} else {
		notes[digest] = n
	}
	if len(notes) > maxNotes {
		return fmt.Errorf("there are %d notes already (remove one)", maxNotes)
	}
	data, err := json.MarshalIndent(bookFile{bookVersion, notes}, "", " ")
	if err != nil {
		return fmt.Errorf("encode notes: %w", err)
	}
	if len(data) >= maxBookBytes {
		return fmt.Errorf("all notes together have up to %d bytes (shorten one)", maxBookBytes)
	}
	if err = os.MkdirAll(filepath.Dir(b.path), 0o700); err == nil {
		err = wholefile.Write(b.path, string(data)+"\n")
	}
	b.stamp, b.notes = "", nil // look again
	if err != nil {
		return fmt.Errorf("the note can't be kept: %w (XDG_STATE_HOME chooses another place)", err)
	}
	return nil
}
