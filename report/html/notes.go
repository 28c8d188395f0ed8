// SPDX-License-Identifier: Apache-2.0

package html

// RunNote is what somebody says of a run.
type RunNote struct {
	Run         string
	Label, Text string
	Star        bool
}

// NoteForm is the note of a page's run, and where it can be changed.
type NoteForm struct {
	RunNote
	Locked            string // why it can't be changed
	Action, Back      string
	MaxLabel, MaxText int
}

// Empty tells that there is no note yet.
func (n *NoteForm) Empty() bool { return n.Label == "" && n.Text == "" && !n.Star }
