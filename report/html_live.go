// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"

	"github.com/mapprof/mapprof/analyze"
)

// writeLive writes the page of runs for a server that has its script and
// style apart, and with links to what else the server has. facetBy is how the
// charts are parted, empty: as fits the runs.
func writeLive(w io.Writer, runs []*Loaded, f Filter, facetBy string, links *liveLinks) error {
	p, err := newPage(runs, f, facetBy)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	p.Live = links
	return p.write(w)
}

// writeNote writes a page that is only a message.
func writeNote(w io.Writer, title, text string) error {
	if err := pageTemplate.ExecuteTemplate(w, "note", fact{Name: title, Value: analyze.SafeText(text)}); err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	return nil
}

// liveLinks are what a page has more of when a server is behind it.
type liveLinks struct {
	Actions   []link
	Pprof     []link
	Keep      []fact // form fields that a choice keeps
	Selects   []choice
	Filtered  bool
	ClearHref string
}

// link leads to another page, or to a file where it has a name to save it as.
type link struct {
	Text, Href, Download string
	Main                 bool
}

// choice is one drop-down list.
type choice struct {
	Name, Label string
	Options     []option
}

// option is an entry of a choice.
type option struct {
	Value, Text string
	Selected    bool
}

// fact is a name and a value of it.
type fact struct{ Name, Value string }
