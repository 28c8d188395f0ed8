// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
)

// markup builds HTML and SVG. Whatever comes from a run goes through text or
// attr; everything else is written here. There are no style attributes, so
// that a page's policy can forbid them. Positions along the x axis are
// percentages: text keeps its size when a chart shrinks.
type markup struct{ b strings.Builder }

func (m *markup) raw(s string) { m.b.WriteString(s) }

func (m *markup) rawf(format string, args ...any) { fmt.Fprintf(&m.b, format, args...) }

// text writes a stranger's text.
func (m *markup) text(s string) { m.b.WriteString(escape(s)) }

func (m *markup) html() template.HTML { return template.HTML(m.b.String()) }

// escape makes text fit for an element and for a quoted attribute.
func escape(s string) string { return html.EscapeString(safetext.Text(s)) }

// num prints a coordinate with at most one digit behind the point.
func num(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		v = 0
	}
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}

// percent prints a fraction as a percentage with enough digits for a screen.
func percent(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		v = 0
	}
	return strconv.FormatFloat(math.Round(v*1e5)/1e3, 'f', -1, 64) + "%"
}
