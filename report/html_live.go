// SPDX-License-Identifier: Apache-2.0

package report

// liveLinks are what a page has more of when a server is behind it.
type liveLinks struct {
	Actions   []link
	Pprof     []link
	Keep      []fact // form fields that a choice keeps
	Selects   []choice
	Filtered  bool
	ClearHref string
}

type link struct {
	Text, Href, Download string
	Main                 bool
}

// choice is one drop-down list.
type choice struct {
	Name, Label string
	Options     []option
}

type option struct {
	Value, Text string
	Selected    bool
}

type fact struct{ Name, Value string }
