// SPDX-License-Identifier: Apache-2.0

package progress

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"
	xterm "golang.org/x/term"
)

// bar is progress on a terminal: one line for the trial that runs, and one that stays
// for each that has ended.
//
// The cursor rests at the line's begin, and everything from there on is erased before
// anything is written. So nothing of the line is left where a terminal that was made
// narrower has broken it into several.
type bar struct {
	mu    sync.Mutex
	f     *os.File
	now   func() time.Time
	label string // of the trial that runs; empty: none does
	stage Stage
	began time.Time
	open  bool // what was written last has not ended its line
	quit  chan struct{}
	once  sync.Once // closes quit
	ended sync.WaitGroup
}

const (
	barInterval = 250 * time.Millisecond
	barLength   = 20
	eraseBelow  = "\r\x1b[J"
)

func newBar(f *os.File) *bar {
	b := &bar{f: f, now: time.Now, quit: make(chan struct{})}
	b.ended.Go(func() {
		for tick := time.NewTicker(barInterval); ; {
			select {
			case <-tick.C:
				b.redraw()
			case <-b.quit:
				tick.Stop()
				return
			}
		}
	})
	return b
}

func (b *bar) Begin(i, n int, label string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.label, b.stage, b.began = fmt.Sprintf("[%d/%d] %s", i+1, n, label), Stage{}, b.now()
}

func (b *bar) Stage(s Stage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stage = s
}

func (b *bar) End(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	word := "done"
	if err != nil {
		word = "failed"
	}
	text := fmt.Sprintf("%s: %s in %.1f s", b.label, word, b.now().Sub(b.began).Seconds())
	b.label = ""
	fmt.Fprint(b.f, b.begin(), ansi.Wrap(text, max(1, b.width()), ""), "\r\n")
}

// Write prints what isn't progress. The line comes back below it once it has ended one.
func (b *bar) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		fmt.Fprint(b.f, eraseBelow)
	}
	n, err := b.f.Write(p)
	if n > 0 {
		b.open = p[n-1] != '\n'
	}
	return n, err
}

func (b *bar) Finish() {
	b.once.Do(func() { close(b.quit) })
	b.ended.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		fmt.Fprint(b.f, eraseBelow)
	}
}

// begin is what comes before a line of one's own.
func (b *bar) begin() string {
	if b.open {
		b.open = false
		return "\r\n"
	}
	return eraseBelow
}

// redraw draws the line as wide as the terminal is now.
func (b *bar) redraw() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.label != "" && !b.open {
		fmt.Fprint(b.f, eraseBelow, b.line(b.width()), "\r")
	}
}

// width leaves the last column free: some terminals go on to the next line when it has
// been written.
func (b *bar) width() int {
	width, _, err := xterm.GetSize(int(b.f.Fd()))
	if err != nil || width <= 0 {
		width = 80 // a terminal that doesn't say, a serial line for one
	}
	return width - 1
}

// line is the trial's line in at most so many columns: the bar goes first, then the
// seconds, then the end of the label.
func (b *bar) line(width int) string {
	stage := cmp.Or(b.stage.Name, "begins")
	text := fmt.Sprintf("%s: %s", b.label, stage)
	seconds := fmt.Sprintf(" %ds", int(b.now().Sub(b.began).Seconds()))
	share, done := "", 0.0
	if b.stage.Total > 0 {
		done = min(1, float64(b.stage.Done)/float64(b.stage.Total))
		share = fmt.Sprintf(" %3.0f%%", 100*done)
	}
	free := width - ansi.StringWidth(text+share+seconds)
	switch {
	case free >= barLength+2 && share != "":
		full := int(barLength * done)
		return text + "  " + strings.Repeat("█", full) + strings.Repeat("░", barLength-full) + share + seconds
	case free >= 0:
		return text + share + seconds
	}
	rest := ": " + stage + share
	if room := width - ansi.StringWidth(rest); room >= 8 {
		return ansi.Truncate(b.label, room, "…") + rest
	}
	return ansi.Truncate(text, width, "…")
}
