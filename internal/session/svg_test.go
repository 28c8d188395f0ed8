// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin

package session

import (
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/internal/golden"
)

// What a cell of the terminal takes, in the picture's units.
const (
	cellWidth, cellHeight = 8.4, 18.0
	margin                = 16.0
)

// theme is the colours of a light or a dark page.
type theme struct{ ground, text, prompt string }

var light, dark = theme{"#f6f8fa", "#1f2328", "#116329"}, theme{"#161b22", "#e6edf3", "#7ee787"}

func (th theme) css() string {
	return fmt.Sprintf("rect{fill:%s}text{fill:%s}.p{fill:%s}", th.ground, th.text, th.prompt)
}

// draw makes a picture of a command and what a terminal showed. What doesn't play it, or is
// asked for less motion, shows the end.
func draw(command string, c cast) string {
	rows := rowsOf(c)
	last := 0
	for _, r := range rows {
		last = max(last, r.y)
	}
	width, height := 2*margin+float64(c.columns)*cellWidth, 2*margin+float64(last+2)*cellHeight
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`+"\n", width, height, html.EscapeString(command+", and the table that it prints"))
	b.WriteString("<!-- SPDX-License-Identifier: Apache-2.0. Drawn from session.cast (make session). -->\n")
	fmt.Fprintf(&b, "<style>text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}.b{font-weight:bold}%s@media(prefers-color-scheme:dark){%s}"+
		"@media(prefers-reduced-motion:reduce){.t{display:none}.f{visibility:visible!important}}</style>\n", light.css(), dark.css())
	fmt.Fprintf(&b, `<rect width="%.0f" height="%.0f" rx="8"/>`+"\n", width, height)
	writeRun(&b, "p", 0, run{0, "$", true})
	writeRun(&b, "", 0, run{2, command, true})
	for _, r := range rows {
		if r.to < 0 {
			fmt.Fprintf(&b, `<g class="f"><set attributeName="visibility" to="hidden" begin="0s" dur="%.2fs"/>`, r.from)
		} else {
			fmt.Fprintf(&b, `<g class="t" visibility="hidden"><set attributeName="visibility" to="visible" begin="%.2fs" dur="%.2fs"/>`, r.from, r.to-r.from)
		}
		for _, x := range r.runs {
			writeRun(&b, "", r.y+1, x)
		}
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// writeRun writes text so wide as its cells are, whatever font there is.
func writeRun(b *strings.Builder, class string, y int, r run) {
	indent := len(r.text) - len(strings.TrimLeft(r.text, " "))
	text := r.text[indent:]
	if r.bold {
		class += " b"
	}
	if class = strings.TrimSpace(class); class != "" {
		class = fmt.Sprintf(` class="%s"`, class)
	}
	fmt.Fprintf(b, `<text%s x="%.1f" y="%.0f" textLength="%.1f">%s</text>`, class, margin+float64(r.column+indent)*cellWidth,
		margin+(float64(y)+0.8)*cellHeight, float64(len([]rune(text)))*cellWidth, html.EscapeString(text))
	if y == 0 {
		b.WriteString("\n")
	}
}

// readme is the command that README.md shows first with its output, and that.
func readme(t *testing.T) (command, output string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```console\n\\$ (mapprof run [^\n]*)\n(.*?)```").FindStringSubmatch(string(data))
	if m == nil {
		t.Fatal("README.md shows no run")
	}
	return m[1], m[2]
}

const imgDir = "../../docs/img"

// TestSessionIsFresh: the picture is what the recording gives; -update draws it anew.
func TestSessionIsFresh(t *testing.T) {
	command, _ := readme(t)
	golden.Check(t, filepath.Join(imgDir, "session.svg"), draw(command, readCast(t, filepath.Join(imgDir, "session.cast"))))
}

// TestSessionShowsReadme: at its end the recording shows the table of README.md, which
// TestVMReadme holds to the program, but for the figures.
func TestSessionShowsReadme(t *testing.T) {
	_, want := readme(t)
	got := finalText(readCast(t, filepath.Join(imgDir, "session.cast")))
	table := regexp.MustCompile(`(?ms)^\S+: a freed map stays .*`).FindString(got) // below the lines of the trials
	if got, want := words(table), words(want); got != want {
		t.Errorf("the recording shows another table than README.md (make session).\n got: %s\nwant: %s", got, want)
	}
}

// words are a table's without figures, units, rules and paths.
func words(s string) string {
	s = regexp.MustCompile(`mapprof-runs/\S+|6\.12\.\S+`).ReplaceAllString(s, "X")
	s = regexp.MustCompile(`[<≥]?\d[\d.,]*\s*(ns|µs|ms|s|B·s|KiB·s|MiB·s|B|KiB|MiB|GiB|%|×)?(\s|$|,|:)`).ReplaceAllString(s, " ")
	return strings.Join(strings.Fields(regexp.MustCompile(`[─│┼┬┴]+`).ReplaceAllString(s, " ")), " ")
}

// TestSessionIsLegible: the picture is small, is XML, asks for nothing elsewhere, and its text
// can be told from the ground on a light page and on a dark one.
func TestSessionIsLegible(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(imgDir, "session.svg"))
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 60<<10 {
		t.Errorf("it takes %d bytes", len(data))
	}
	for d := xml.NewDecoder(strings.NewReader(string(data))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok {
			for _, a := range e.Attr {
				if n, err := strconv.ParseFloat(strings.TrimSuffix(a.Value, "s"), 64); a.Name.Local == "dur" && (err != nil || n <= 0) {
					t.Errorf("something is shown for %q", a.Value) // which is for ever
				}
				if a.Name.Local == "href" || a.Name.Local == "src" || e.Name.Local == "script" {
					t.Errorf("<%s %s=%q>", e.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
	}
	for _, th := range []theme{light, dark} {
		if !strings.Contains(string(data), th.css()) {
			t.Errorf("it lacks the colours %+v", th)
		}
		for _, color := range []string{th.text, th.prompt} {
			if r := contrast(t, color, th.ground); r < 4.5 {
				t.Errorf("%s on %s has a contrast of %.1f, less than 4.5", color, th.ground, r)
			}
		}
	}
}

// contrast is that of WCAG 2.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a)+0.05, luminance(t, b)+0.05
	return max(x, y) / min(x, y)
}

func luminance(t *testing.T, color string) (sum float64) {
	t.Helper()
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(color[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
