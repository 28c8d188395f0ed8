// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin

package session

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hinshun/vt10x"
)

// cast is a recording of a terminal, as asciinema writes it (version 2).
type cast struct {
	columns, rows int
	events        []event
}

// event is what a program wrote, and when, in seconds.
type event struct {
	at   float64
	text string
}

func readCast(t *testing.T, file string) cast {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	var header struct{ Version, Width, Height int }
	if !lines.Scan() {
		t.Fatalf("%s is empty", file)
	}
	if err := json.Unmarshal(lines.Bytes(), &header); err != nil || header.Version != 2 || header.Width < 1 || header.Width > 200 || header.Height < 1 || header.Height > 200 {
		t.Fatalf("%s: %v, header %+v", file, err, header)
	}
	c := cast{columns: header.Width, rows: header.Height}
	for lines.Scan() {
		var e [3]any
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		at, isTime := e[0].(float64)
		text, isText := e[2].(string)
		if !isTime || !isText || e[1] != "o" {
			t.Fatalf("%s: event %v", file, e)
		}
		c.events = append(c.events, event{at, text})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

// run is text of one look in a row, from a column on.
type run struct {
	column int
	text   string
	bold   bool
}

// row is what a row shows from one time to another; negative: to the end.
type row struct {
	y        int
	from, to float64
	runs     []run
}

// bold is vt10x's mode of bold text, which it does not export.
const bold = 1 << 2

func runsOf(vt vt10x.Terminal, y, columns int) []run {
	var runs []run
	for x := range columns {
		g := vt.Cell(x, y)
		char, isBold := g.Char, g.Mode&bold != 0
		if char == 0 {
			char = ' '
		}
		if n := len(runs); n > 0 && runs[n-1].bold == isBold {
			runs[n-1].text += string(char)
		} else {
			runs = append(runs, run{x, string(char), isBold})
		}
	}
	for n := len(runs); n > 0; n-- {
		if runs[n-1].text = strings.TrimRight(runs[n-1].text, " "); runs[n-1].text != "" {
			return runs[:n]
		}
	}
	return nil
}

// How it is shown: after the command was read, faster than it was, and no change sooner
// after another than can be seen.
const (
	readFor = 1.5
	speed   = 4
	spacing = 0.3
)

// rowsOf are the rows of a recording as they are shown, below the row of the command.
func rowsOf(c cast) []row {
	vt := vt10x.New(vt10x.WithSize(c.columns, c.rows))
	var done, shown []row
	shown = make([]row, c.rows)
	last := -spacing * speed
	for i, e := range c.events {
		fmt.Fprint(vt, e.text)
		if i+1 < len(c.events) && e.at-last < spacing*speed {
			continue
		}
		last = e.at
		now := readFor + e.at/speed
		for y := range c.rows {
			runs := runsOf(vt, y, c.columns)
			if slices.Equal(runs, shown[y].runs) {
				continue
			}
			// What was there for no time at all would be shown for ever.
			if shown[y].to = now; shown[y].runs != nil && now-shown[y].from >= 0.01 {
				done = append(done, shown[y])
			}
			shown[y] = row{y: y, from: now, to: -1, runs: runs}
		}
	}
	for _, r := range shown {
		if r.runs != nil {
			done = append(done, r)
		}
	}
	return done
}

// finalText is what a recording shows at its end.
func finalText(c cast) string {
	vt := vt10x.New(vt10x.WithSize(c.columns, c.rows))
	for _, e := range c.events {
		fmt.Fprint(vt, e.text)
	}
	return vt.String()
}
