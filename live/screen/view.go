// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/mapprof/mapprof/live"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// View implements tea.Model.
func (s *screen) View() tea.View {
	v := tea.NewView(strings.Join(s.lines(), "\n"))
	v.AltScreen = true
	return v
}

const (
	bold    = "\x1b[1m"
	reverse = "\x1b[7m"
	normal  = "\x1b[m"
)

// lines are the whole screen: no more than fit on it, and none wider.
func (s *screen) lines() []string {
	if s.width <= 0 || s.height <= 0 {
		return nil
	}
	head := s.head()
	foot := []string{fit(s.keys(), s.width)}
	room := max(s.height-len(head)-len(foot), 0)
	var body []string
	switch s.page {
	case pageHelp:
		body = s.scrolled(helpLines(s.width), room)
	case pageDetail:
		body = s.scrolled(s.detail(), room)
	default:
		body = s.body(room)
	}
	for len(body) < room {
		body = append(body, "")
	}
	lines := append(append(head, body...), foot...)
	return lines[:min(len(lines), s.height)]
}

// head is the title and the summary.
func (s *screen) head() []string {
	title := "mapprof top"
	if s.snap != nil {
		title += "  " + s.snap.Time.UTC().Format("15:04:05 UTC")
	}
	if s.paused {
		title += "  [paused]"
	}
	if s.filter != "" || s.typing {
		title += "  filter: " + s.filter
	}
	if s.typing {
		title += "_"
	}
	head := []string{bold + fit(title, s.width) + normal}
	if s.snap == nil {
		return append(head, fit("waiting for the first interval", s.width))
	}
	return append(append(head, summary(s.snap, s.width)...), "")
}

func (s *screen) keys() string {
	switch {
	case s.typing:
		return "type a text   enter keep   esc clear"
	case s.page == pageHelp:
		return "esc back   q quit"
	case s.page == pageDetail:
		return "esc back   up/down scroll   space pause   q quit"
	}
	return "s by " + s.by.String() + "  enter detail  / filter  space pause  ? help  q"
}

// body is the table, moved so that the selected line is on it.
func (s *screen) body(room int) []string {
	if s.snap == nil {
		return nil
	}
	owners := s.owners()
	others := s.snap.Others
	if s.filter != "" {
		others = nil
	}
	if len(owners) == 0 && others == nil {
		text := "no death yet"
		if s.filter != "" {
			text = "no owner with that text (esc clears the filter)"
		}
		return []string{fit(text, s.width)}[:min(room, 1)]
	}
	heading, rows := table(owners, others, s.width)
	at, current := s.current()
	if current != nil {
		rows[at] = reverse + rows[at] + strings.Repeat(" ", max(s.width-ansi.StringWidth(rows[at]), 0)) + normal
	}
	visible := max(room-1, 0)
	s.top = max(min(s.top, at, len(rows)-visible), 0)
	if at >= s.top+visible {
		s.top = at - visible + 1
	}
	rows = rows[min(s.top, len(rows)):]
	return append([]string{bold + heading + normal}, rows[:min(visible, len(rows))]...)[:min(room, 1+min(visible, len(rows)))]
}

// scrolled is the part of a page that is shown.
func (s *screen) scrolled(lines []string, room int) []string {
	s.top = max(min(s.top, len(lines)-room), 0)
	lines = lines[s.top:]
	return lines[:min(len(lines), room)]
}

// detail is all of one owner.
func (s *screen) detail() []string {
	_, o := s.current()
	if o == nil || id(o) != s.selected {
		return []string{fit("nothing is known of it any more (esc back)", s.width)}
	}
	lines := []string{
		"outer map      " + outerOf(o) + outerType(o),
		"creator        " + creatorOf(o),
		"container      " + orNone(o.Container),
		"cgroup         " + orNone(o.Cgroup),
		"path           " + orNone(o.Path),
		"pinned by      " + orNone(strings.Join(o.PinnedBy, ", ")),
		fmt.Sprintf("deaths         %d, %s/s", o.Deaths, rate(o.DeathsPerSecond)),
		fmt.Sprintf("in limbo now   %s, %s", model.Plural(o.LimboMaps, "map"), model.FormatBytes(float64(o.LimboBytes))),
		"",
		fmt.Sprintf("%-16s %5s %9s %9s %9s", "phase", "n", "p50", "p99", "max"),
	}
	for _, p := range results.Phases() {
		if st, ok := o.Phases[p.Name]; ok {
			lines = append(lines, fmt.Sprintf("%-16s %5d %9s %9s %9s", p.Name, st.N, duration(st.P50NS), duration(st.P99NS), duration(st.MaxNS)))
		}
	}
	if len(o.Phases) == 0 {
		lines = append(lines, "no death in the window")
	}
	lines = append(lines, "", "stack of the latest last put")
	for _, f := range o.Stack {
		lines = append(lines, "  "+f)
	}
	if len(o.Stack) == 0 {
		lines = append(lines, "  "+model.None)
	}
	for i := range lines {
		lines[i] = fit(lines[i], s.width)
	}
	return lines
}

func outerType(o *live.Owner) string {
	if o.OuterID == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s, id %d)", orNone(o.Outer), o.OuterID)
}

// helpText is the screen's own; each line fits in 60 columns.
const helpText = `Maps leave every list at their last put. Until they are
freed they are in limbo: no list shows them, and their
memory is held.

deaths   since the start; /s of this interval
p50 p99  of limbo, of an owner's last deaths in the window
limbo    memory in limbo now
oldest   the age of the map that is there longest
path     the waits between last put and free
pinned by  sleepable programs that use the outer map

up down pgup pgdown   select a line
enter                 its phases, its stack, its programs
s                     sort by limbo, deaths, p99, oldest
/                     only lines with a text; esc clears it
space                 pause the screen; counting goes on
q ctrl-c              quit`

func helpLines(width int) []string {
	lines := strings.Split(helpText, "\n")
	for i := range lines {
		lines[i] = fit(lines[i], width)
	}
	return lines
}
