// SPDX-License-Identifier: Apache-2.0

//go:build linux

package progress

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"

	"github.com/mapprof/mapprof/internal/golden"
)

// screen is a pseudo-terminal, with an emulator of a terminal as its user.
type screen struct {
	t       *testing.T
	user, f *os.File // the user's side, the program's
	vt      vt10x.Terminal
	rows    int
	marks   int
}

func newScreen(t *testing.T, columns, rows int) *screen {
	t.Helper()
	t.Setenv("TERM", "xterm-256color")
	user, f, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { user.Close(); f.Close() })
	s := &screen{t: t, user: user, f: f, rows: rows}
	s.resize(columns)
	return s
}

// resize makes it so wide. Like most terminals it breaks lines anew that have become
// too long, and the cursor stays at the character that it was at.
func (s *screen) resize(columns int) {
	s.t.Helper()
	if err := pty.Setsize(s.user, &pty.Winsize{Rows: uint16(s.rows), Cols: uint16(columns)}); err != nil {
		s.t.Fatal(err)
	}
	old := s.vt
	s.vt = vt10x.New(vt10x.WithSize(columns, s.rows))
	if old == nil {
		return
	}
	lines, at := linesOf(old), old.Cursor()
	if at.X != 0 {
		s.t.Fatalf("the cursor rests in column %d", at.X)
	}
	for i, line := range lines {
		if i == at.Y {
			fmt.Fprint(s.vt, "\x1b7")
		}
		fmt.Fprint(s.vt, line, "\r\n")
	}
	if at.Y < len(lines) {
		fmt.Fprint(s.vt, "\x1b8")
	}
}

// text is what it shows once all that was written has come.
func (s *screen) text() string {
	s.t.Helper()
	s.marks++
	mark := fmt.Appendf(nil, "\x1b]2;mark %d\x07", s.marks)
	if _, err := s.f.Write(mark); err != nil {
		s.t.Fatal(err)
	}
	if err := s.user.SetReadDeadline(time.Now().Add(time.Minute)); err != nil && !errors.Is(err, os.ErrNoDeadline) {
		s.t.Fatal(err)
	}
	var all []byte
	for buf := make([]byte, 4096); !bytes.Contains(all, mark); {
		n, err := s.user.Read(buf)
		if err != nil {
			s.t.Fatalf("%v, after %q", err, all)
		}
		all = append(all, buf[:n]...)
	}
	if _, err := s.vt.Write(all); err != nil {
		s.t.Fatal(err)
	}
	return strings.Join(linesOf(s.vt), "\n") + "\n"
}

// linesOf are the lines that a terminal shows, less the blank ones at its end.
func linesOf(vt vt10x.Terminal) []string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimRight(vt.String(), "\n "), "\n") {
		lines = append(lines, strings.TrimRight(line, " "))
	}
	return lines
}

// stopped is a bar that is drawn only when a test says so, at the time that it says.
func stopped(s *screen, now *time.Time) *bar {
	return &bar{f: s.f, now: func() time.Time { return *now }, quit: make(chan struct{})}
}

const longLabel = "6.12.94+deb13-amd64 tasks-trace, trial 0"

// TestBarFits: whatever the width, what is drawn again and again is one line, and
// trials that have ended leave one each.
func TestBarFits(t *testing.T) {
	for _, columns := range []int{60, 80, 100, 200} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			s := newScreen(t, columns, 24)
			now := time.Unix(0, 0)
			b := stopped(s, &now)
			var shown strings.Builder
			step := func(what string) {
				for range 32 {
					b.redraw()
				}
				fmt.Fprintf(&shown, "%s:\n%s\n", what, s.text())
			}
			b.Begin(0, 2, longLabel)
			step("a trial begins")
			b.Stage(Stage{Name: "boot"})
			now = now.Add(9 * time.Second)
			step("nobody knows how long it takes")
			for _, done := range []uint64{0, 150, 300} {
				b.Stage(Stage{Name: "measure", Done: done, Total: 300})
				now = now.Add(time.Second)
				step(fmt.Sprintf("%d of 300", done))
			}
			fmt.Fprintf(b, "a program's line\n")
			fmt.Fprintf(b, "half of ")
			step("something is printed, and a line's begin")
			fmt.Fprintf(b, "a line\n")
			step("and its end")
			b.End(nil)
			b.Begin(1, 2, longLabel+" with a label that is longer than a terminal of this width, "+strings.Repeat("x", columns))
			b.Stage(Stage{Name: "measure", Done: 1 << 63, Total: 1<<64 - 1})
			step("the next")
			b.End(errors.New("no"))
			b.Finish()
			fmt.Fprintf(&shown, "the end:\n%s", s.text())
			golden.Check(t, fmt.Sprintf("testdata/bar-%d.golden", columns), shown.String())
		})
	}
}

// TestBarNarrow: no width is too narrow for one line.
func TestBarNarrow(t *testing.T) {
	now := time.Unix(0, 0)
	for columns := 2; columns < 60; columns++ {
		s := newScreen(t, columns, 24)
		b := stopped(s, &now)
		b.Begin(0, 1, longLabel)
		b.Stage(Stage{Name: "measure", Done: 1, Total: 3})
		for range 3 {
			b.redraw()
		}
		if lines := strings.Split(strings.TrimSpace(s.text()), "\n"); len(lines) != 1 || lines[0] == "" {
			t.Errorf("%d columns: %q", columns, lines)
		}
	}
}

// TestBarResized: a terminal that becomes narrower or wider during a run has one line
// of it at any time, drawn anew by itself.
func TestBarResized(t *testing.T) {
	s := newScreen(t, 100, 24)
	b := New(s.f)
	b.Begin(0, 1, longLabel)
	b.Stage(Stage{Name: "measure", Done: 150, Total: 300})
	before := ""
	for _, columns := range []int{100, 60, 40, 200, 80} {
		s.resize(columns)
		var text string
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			text = s.text()
			if lines := linesOf(s.vt); len(lines) == 1 && lines[0] != before && strings.HasPrefix(lines[0], "[1/1] 6.12") && len([]rune(lines[0])) < columns {
				before = lines[0]
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d columns:\n%s", columns, text)
			}
		}
	}
	b.Finish()
	if text := s.text(); strings.TrimSpace(text) != "" {
		t.Errorf("left at the end: %q", text)
	}
}

// TestLines: elsewhere it writes lines, and what else is printed as it is.
func TestLines(t *testing.T) {
	var text bytes.Buffer
	p := New(&text)
	p.Begin(0, 1, "6.12 rcu, trial 0")
	p.Stage(Stage{Name: "measure", Done: 1, Total: 3})
	fmt.Fprintln(p, "a program's line")
	p.End(nil)
	p.Finish()
	want := "[1/1] 6.12 rcu, trial 0: measure 1/3\na program's line\n[1/1] 6.12 rcu, trial 0: done in 0.0 s\n"
	if text.String() != want {
		t.Errorf("%q", text.String())
	}
}
