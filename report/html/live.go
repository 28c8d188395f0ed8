// SPDX-License-Identifier: Apache-2.0

package html

import (
	"fmt"
	"io"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/model"
)

// WriteLive writes the page of runs for a server that has its script and
// style apart, and with links to what else the server has. facetBy is how the
// charts are parted, empty: as fits the runs. Nothing is written where there is no page.
func WriteLive(w io.Writer, runs []*model.Loaded, f model.Filter, facetBy string, links *LiveLinks) error {
	p, err := newPage(runs, f, facetBy, links)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return p.write(w)
}

// WriteNote writes a page that is only a message.
func WriteNote(w io.Writer, title, text string) error {
	if err := pageTemplate.ExecuteTemplate(w, "note", Fact{Name: title, Value: safetext.Text(text)}); err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	return nil
}

// LiveLinks are what a page has more of when a server is behind it.
type LiveLinks struct {
	Actions      []Link
	Pprof        []Link
	Keep         []Fact // form fields that a choice keeps
	Selects      []Choice
	Note         *NoteForm // of a page of one run
	Notes        []RunNote // of several
	NotesProblem string
	Filtered     bool
	ClearHref    string
}

// Link leads to another page, or to a file where it has a name to save it as.
type Link struct {
	Text, Href, Download string
	Main                 bool
	Keep                 bool // what the page's script has in the address
}

// Choice is one drop-down list.
type Choice struct {
	Name, Label string
	Options     []Option
}

// Option is an entry of a choice.
type Option struct {
	Value, Text string
	Selected    bool
}

// Fact is a name and a value of it.
type Fact struct{ Name, Value string }
