// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/mapprof/mapprof/live"
)

// page is what the screen shows.
type page int

const (
	pageTable page = iota
	pageDetail
	pageHelp
)

// screen is the tea.Model.
type screen struct {
	width, height int
	page          page
	by            live.By
	filter        string
	typing        bool // the filter
	paused        bool
	snap          *live.Snapshot // that is shown; nil: none has come yet
	newest        *live.Snapshot // that came last
	selected      string         // the owner, by its id
	top           int            // the first line of the page that is shown
	failed        error
}

// told brings a snapshot, ended the end of the source.
type (
	told  struct{ snap *live.Snapshot }
	ended struct{ err error }
)

// Init implements tea.Model.
func (s *screen) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (s *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = msg.Width, msg.Height
	case told:
		if s.newest = msg.snap; !s.paused {
			s.show()
		}
	case ended:
		s.failed = msg.err
		return s, tea.Quit
	case tea.PasteMsg:
		if s.typing {
			s.typed(msg.Content)
		}
	case tea.KeyPressMsg:
		if msg.String() == "ctrl+c" {
			return s, tea.Quit
		}
		if s.typing {
			s.typeKey(msg)
			return s, nil
		}
		return s, s.key(msg.String())
	}
	return s, nil
}

// show shows the newest snapshot.
func (s *screen) show() { s.snap = s.newest }

// key does what a key is for, outside of the filter's line.
func (s *screen) key(key string) tea.Cmd {
	switch key {
	case "q":
		return tea.Quit
	case "?":
		s.turn(pageHelp)
	case "esc":
		switch {
		case s.page != pageTable:
			s.turn(pageTable)
		default:
			s.filter = ""
		}
	case "space":
		if s.paused = !s.paused; !s.paused {
			s.show()
		}
	case "s":
		if s.page == pageTable {
			s.by = s.by.Next()
		}
	case "/":
		s.turn(pageTable)
		s.typing = true
	case "enter":
		if _, o := s.current(); o != nil && s.page == pageTable {
			s.selected = id(o)
			s.turn(pageDetail)
		}
	default:
		s.move(key)
	}
	return nil
}

func (s *screen) turn(to page) { s.page, s.top = to, 0 }

// move selects another owner, or moves the page that has none to select.
func (s *screen) move(key string) {
	by := 0
	switch key {
	case "up", "k":
		by = -1
	case "down", "j":
		by = 1
	case "pgup":
		by = -max(s.height/2, 1)
	case "pgdown":
		by = max(s.height/2, 1)
	case "home", "g":
		by = -live.MaxOwners
	case "end", "G":
		by = live.MaxOwners
	}
	if s.page != pageTable {
		s.top = max(s.top+by, 0)
		return
	}
	owners := s.owners()
	if len(owners) == 0 || by == 0 {
		return
	}
	at, _ := s.current()
	s.selected = id(&owners[min(max(at+by, 0), len(owners)-1)])
}

// maxFilter bounds the filter, in bytes.
const maxFilter = 40

// typeKey changes the filter.
func (s *screen) typeKey(msg tea.KeyPressMsg) {
	switch msg.String() {
	case "enter":
		s.typing = false
	case "esc":
		s.typing, s.filter = false, ""
	case "backspace":
		if r := []rune(s.filter); len(r) > 0 {
			s.filter = string(r[:len(r)-1])
		}
	case "ctrl+u":
		s.filter = ""
	default:
		s.typed(msg.Text)
	}
}

// typed adds to the filter.
func (s *screen) typed(text string) {
	for _, r := range text {
		if r >= ' ' && r != 0x7f && len(s.filter) < maxFilter {
			s.filter += string(r)
		}
	}
}

// owners are those that the filter leaves, sorted.
func (s *screen) owners() []live.Owner {
	if s.snap == nil {
		return nil
	}
	var out []live.Owner
	for i := range s.snap.Owners {
		if o := &s.snap.Owners[i]; matches(o, s.filter) {
			out = append(out, *o)
		}
	}
	live.Sort(out, s.by)
	return out
}

// matches tells whether a text is in a name of an owner, in any case.
func matches(o *live.Owner, text string) bool {
	names := append([]string{outerOf(o), creatorOf(o), o.Cgroup, o.Container, o.Path}, o.PinnedBy...)
	return strings.Contains(strings.ToLower(strings.Join(names, "\n")), strings.ToLower(text))
}

// current is the owner that is selected, or else the first.
func (s *screen) current() (int, *live.Owner) {
	owners := s.owners()
	for i := range owners {
		if id(&owners[i]) == s.selected {
			return i, &owners[i]
		}
	}
	if len(owners) == 0 {
		return 0, nil
	}
	return 0, &owners[0]
}

// id tells owners apart.
func id(o *live.Owner) string {
	return fmt.Sprintf("%d %q %q %q %q %q", o.OuterID, o.OuterName, o.Creator, o.Comm, o.Cgroup, o.Path)
}
