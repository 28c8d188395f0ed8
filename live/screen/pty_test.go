// SPDX-License-Identifier: Apache-2.0

//go:build unix

package screen

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"

	"github.com/mapprof/mapprof/live"
)

// terminal is a pseudo-terminal with a screen on it.
type terminal struct {
	t            *testing.T
	keys, screen *os.File // the user's side, the program's
	before       *term.State
	source       *source
	ended        chan error

	mu   sync.Mutex
	text strings.Builder
}

func start(ctx context.Context, t *testing.T, s *source) *terminal {
	t.Helper()
	t.Setenv("TERM", "xterm-256color")
	keys, screen, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close(); screen.Close() })
	if err := pty.Setsize(keys, &pty.Winsize{Rows: 30, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	s.ended = make(chan struct{})
	p := &terminal{t: t, keys: keys, screen: screen, source: s, ended: make(chan error, 1)}
	if p.before, err = term.GetState(int(screen.Fd())); err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := keys.Read(buf)
			p.mu.Lock()
			p.text.Write(buf[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	go func() {
		p.ended <- Run(ctx, s, live.Options{Limits: live.Limits{Interval: 10 * time.Millisecond}}, screen, screen)
	}()
	return p
}

// patience is how long a busy machine may take.
const patience = time.Minute

// shows waits until a text has been written.
func (p *terminal) shows(text string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		all := p.text.String()
		p.mu.Unlock()
		if strings.Contains(all, text) {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("no %q in %q", text, all)
		}
	}
}

func (p *terminal) press(keys string) {
	p.t.Helper()
	if _, err := p.keys.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// restored waits for the end, and sees that the terminal is as it was: its modes, the
// main screen, the cursor.
func (p *terminal) restored() error {
	p.t.Helper()
	var err error
	select {
	case err = <-p.ended:
	case <-time.After(patience):
		p.t.Fatal("it doesn't end")
	}
	select {
	case <-p.source.ended:
	default:
		p.t.Error("the source is watched still")
	}
	after, stateErr := term.GetState(int(p.screen.Fd()))
	if stateErr != nil || *after != *p.before {
		p.t.Errorf("the terminal's modes are not as before: %v", stateErr)
	}
	p.shows("\x1b[?1049l")
	p.shows("\x1b[?25h")
	return err
}

// TestTerminal: in a pseudo-terminal it starts, takes keys, and leaves the terminal as
// it was.
func TestTerminal(t *testing.T) {
	p := start(t.Context(), t, &source{})
	p.shows("\x1b[?1049h")
	p.shows("cilium_policy")
	p.press("s")
	p.shows("deaths  enter")
	p.press(" ")
	p.shows("[paused]")
	p.press("\r")
	p.shows("stack of the latest last put")
	p.press("q")
	if err := p.restored(); err != nil {
		t.Error(err)
	}
}

// TestTerminalIsRestored: however it ends.
func TestTerminalIsRestored(t *testing.T) {
	t.Run("signal", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := start(ctx, t, &source{})
		p.shows("cilium_policy")
		cancel()
		if err := p.restored(); err != nil {
			t.Error(err)
		}
	})
	t.Run("ctrl-c", func(t *testing.T) {
		p := start(t.Context(), t, &source{})
		p.shows("cilium_policy")
		p.press("\x03")
		if err := p.restored(); err != nil {
			t.Error(err)
		}
	})
	t.Run("error", func(t *testing.T) {
		bad := errors.New("read ring buffer: made up")
		if err := start(t.Context(), t, &source{err: bad}).restored(); !errors.Is(err, bad) {
			t.Errorf("%v", err)
		}
	})
	t.Run("panic", func(t *testing.T) {
		if err := start(t.Context(), t, &source{panic: true}).restored(); err == nil || !strings.Contains(err.Error(), "panic: made up") {
			t.Errorf("%v", err)
		}
	})
}
