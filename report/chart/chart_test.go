// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"html/template"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// entries are the scenarios of a run in two kernels and two strategies.
func entries(t *testing.T) []*model.Entry {
	t.Helper()
	f := fixture.Churn{Kernels: fixture.TwoKernels, Strategies: fixture.TwoStrategies, Trials: 2, Deaths: 200}
	l, err := model.Load(f.WriteTemp(t))
	if err != nil {
		t.Fatal(err)
	}
	return model.EntriesOf([]*model.Loaded{l}, model.Filter{}, "")
}

func evilEntries(t *testing.T) []*model.Entry {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "evil")
	fixture.Evil(t, dir)
	l, err := model.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return model.EntriesOf([]*model.Loaded{l}, model.Filter{}, "")
}

// element is one of a chart's markup.
type element struct {
	name string
	attr map[string]string
	text string // of it and of what is in it
}

// parse reads a chart's markup, which must be well-formed: a browser would mend it
// in its own way.
func parse(t *testing.T, markup template.HTML) []element {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(string(markup)))
	d.Entity = xml.HTMLEntity
	var all []element
	var open []int
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in %s", err, markup)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{name: token.Name.Local, attr: map[string]string{}}
			for _, a := range token.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			open, all = append(open, len(all)), append(all, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			for _, i := range open {
				all[i].text += string(token)
			}
		}
	}
	return all
}

func with(all []element, name, class string) []element {
	var out []element
	for _, e := range all {
		if e.name == name && (class == "" || strings.HasPrefix(e.attr["class"], class)) {
			out = append(out, e)
		}
	}
	return out
}

var numbers = regexp.MustCompile(`-?[0-9.]+`)

// TestChartsAreSound draws everything of a sound run and of one whose names are
// markup: only elements and attributes of our own, and each line inside its chart.
func TestChartsAreSound(t *testing.T) {
	for name, list := range map[string][]*model.Entry{"sound": entries(t), "evil": evilEntries(t)} {
		charts := map[string]template.HTML{"bars": PhaseBars(list, false), "shares": PhaseBars(list, true), "flame": NewFlame(list, true).Draw()}
		for _, phase := range model.ShownPhases(list) {
			for kind, c := range map[string]*Chart{"percentiles ": Percentiles(list, phase), "ridges ": Ridges(list, phase)} {
				if c != nil {
					charts[kind+phase] = c.HTML
				}
			}
		}
		if c := Memory(list); c != nil {
			charts["memory"] = c.HTML
		}
		if len(charts) < 5 {
			t.Errorf("%s: only %d charts", name, len(charts))
		}
		for chart, html := range charts {
			for _, e := range parse(t, html) {
				switch e.name {
				case "div", "figure", "figcaption", "svg", "text", "line", "path", "rect", "title", "span":
				default:
					t.Errorf("%s, %s: an element <%s>", name, chart, e.name)
				}
				for a := range e.attr {
					if strings.HasPrefix(a, "on") || a == "style" || a == "href" {
						t.Errorf("%s, %s: <%s %s>", name, chart, e.name, a)
					}
				}
				if e.name != "path" {
					continue
				}
				for _, text := range numbers.FindAllString(e.attr["d"], -1) {
					if v, err := strconv.ParseFloat(text, 64); err != nil || v < 0 || v > 1000 {
						t.Errorf("%s, %s: the line goes to %s", name, chart, text)
						break
					}
				}
			}
		}
	}
}

// TestPercentilesShowTheRun: each scenario is one line, which rises, and passes
// through the figures that the table shows.
func TestPercentilesShowTheRun(t *testing.T) {
	list := entries(t)
	c := Percentiles(list, results.PhaseLimbo)
	byEntry := map[string]*model.Entry{}
	for _, e := range list {
		byEntry[e.ID] = e
	}
	lines := 0
	for _, p := range c.Data() {
		if p.Kind != "percentile" || len(p.XTicks) == 0 || len(p.YTicks) == 0 {
			t.Errorf("plot %+v", p)
		}
		for _, l := range p.Lines {
			lines++
			e := byEntry[l.Entry]
			if e == nil || l.Label != e.Series {
				t.Fatalf("line %q of entry %q", l.Label, l.Entry)
			}
			// The axis counts the decades of 1/(1-quantile).
			s, passed := e.Scenario.Phases[results.PhaseLimbo], 0
			for i := range l.X {
				if i > 0 && (l.X[i] < l.X[i-1] || l.Y[i] < l.Y[i-1]) {
					t.Errorf("%s falls at point %d", e.Label, i)
				}
				for x, want := range map[float64]int64{0: s.MinNS, 1: s.P90NS, 2: s.P99NS} {
					if math.Abs(l.X[i]-x) < 1e-9 {
						passed++
						if math.Abs(l.Y[i]-float64(want)) > 0.01*float64(want) {
							t.Errorf("%s is %v at %v decades, not %d", e.Label, l.Y[i], x, want)
						}
					}
				}
			}
			if last := l.Y[len(l.Y)-1]; passed != 3 || last != float64(s.MaxNS) {
				t.Errorf("%s passes %d of 3 points and ends at %v, not at %d", e.Label, passed, last, s.MaxNS)
			}
		}
	}
	if lines != len(list) || len(c.Legend) != len(fixture.TwoStrategies) {
		t.Errorf("%d lines of %d scenarios, %d in the legend", lines, len(list), len(c.Legend))
	}
	if Percentiles(list, "no_such_phase") != nil || Ridges(list, "no_such_phase") != nil {
		t.Error("a chart of a phase that nobody has")
	}
}

// TestMemoryShowsThePeak: of each scenario's trials the one with the highest peak,
// and that as high as the table says.
func TestMemoryShowsThePeak(t *testing.T) {
	list := entries(t)
	want := map[string]float64{}
	for _, e := range list {
		for i := range e.Scenario.Trials {
			tr := &e.Scenario.Trials[i]
			want[e.ID] = max(want[e.ID], float64(tr.Limbo.PeakBytes))
		}
	}
	c := Memory(list)
	lines := 0
	for _, p := range c.Data() {
		for _, l := range p.Lines {
			lines++
			most := 0.0
			for _, y := range l.Y {
				most = max(most, y)
			}
			if most != want[l.Entry] || most > p.Y[1] {
				t.Errorf("%s: a peak of %v, not %v, on an axis to %v", l.Label, most, want[l.Entry], p.Y[1])
			}
		}
	}
	if lines != len(list) || !strings.Contains(c.Note, "Of several trials") {
		t.Errorf("%d lines of %d scenarios; %q", lines, len(list), c.Note)
	}
	for _, e := range list {
		for i := range e.Scenario.Trials {
			e.Scenario.Trials[i].Timeline = nil
		}
	}
	if Memory(list) != nil {
		t.Error("a chart without a timeline")
	}
}

func share(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !strings.HasSuffix(text, "%") {
		t.Fatalf("%q is no percentage", text)
	}
	return v
}

// TestPhaseBarsAddUp: a bar's parts follow each other without a gap; relative ones
// make up the whole, the others are as long as their mean.
func TestPhaseBarsAddUp(t *testing.T) {
	list := entries(t)
	longest := 0.0
	for _, e := range list {
		longest = max(longest, e.Scenario.Phases[results.PhaseLimbo].MeanNS)
	}
	for _, relative := range []bool{true, false} {
		all := parse(t, PhaseBars(list, relative))
		var ends []float64
		for _, e := range all {
			switch {
			case e.name == "svg" && e.attr["class"] == "bar":
				ends = append(ends, 0)
			case e.name == "svg" && e.attr["height"] == "22":
				at := &ends[len(ends)-1]
				if x := share(t, e.attr["x"]); math.Abs(x-*at) > 0.01 {
					t.Errorf("relative %v, bar %d: a part begins at %v %%, the one before ended at %v %%", relative, len(ends), x, *at)
				}
				*at += share(t, e.attr["width"])
			}
		}
		if len(ends) != len(list) {
			t.Fatalf("relative %v: %d bars of %d scenarios", relative, len(ends), len(list))
		}
		top := barScale(list, relative).Hi
		for i, e := range list {
			want := 100.0
			if !relative {
				want = 100 * e.Scenario.Phases[results.PhaseLimbo].MeanNS / top
			}
			if math.Abs(ends[i]-want) > 0.1 {
				t.Errorf("relative %v, %s: the bar ends at %v %%, not at %v %%", relative, e.Label, ends[i], want)
			}
		}
	}
}

// TestFlameAddsUp: the root is as wide as all limbo of the run, a frame as what it
// holds or wider, and what is drawn is what the script gets.
func TestFlameAddsUp(t *testing.T) {
	list := entries(t)
	f := NewFlame(list, true)
	var want, got int64
	for _, e := range list {
		want += e.Scenario.Phases[results.PhaseLimbo].SumNS
	}
	deaths := int64(0)
	for _, s := range f.Stacks {
		for _, v := range s.Values {
			got += v[0]
			deaths += v[2]
		}
	}
	if got != want || deaths != 2*2*2*200 {
		t.Errorf("stacks of %d ns and %d deaths, not of %d and %d", got, deaths, want, 2*2*2*200)
	}
	var check func(n *flameNode)
	check = func(n *flameNode) {
		sum := int64(0)
		for _, c := range n.children {
			sum += c.value
			check(c)
		}
		if sum > n.value {
			t.Errorf("a frame of %d ns holds %d ns", n.value, sum)
		}
	}
	root := f.tree()
	check(root)
	frames := with(parse(t, f.Draw()), "svg", "fr")
	if root.value != want || len(frames) < 10 || share(t, frames[0].attr["width"]) != 100 || !strings.Contains(frames[0].text, model.FormatDuration(float64(want))) {
		t.Errorf("the root is %d ns of %d, drawn as %+v among %d frames", root.value, want, frames[0], len(frames))
	}
	for _, phase := range BarPhases(list, results.DeathPhases()) {
		if !slices.Contains(f.Frames, "[phase] "+phase) {
			t.Errorf("no frame of phase %s", phase)
		}
	}
	// Of time the strategy comes first, of memory the outer map; entries are folded.
	for _, s := range f.Stacks {
		second := f.Frames[s.Frames[1]]
		if s.total[0] > 0 && !strings.HasPrefix(second, "[strategy] ") || s.total[1] > 0 && !strings.HasPrefix(second, "[outer map] ") || s.total == (flameValues{}) {
			t.Errorf("%q follows the kernel in a stack of %v", second, s.total)
		}
	}
	if !slices.Contains(f.Frames, "bpf(2)") || slices.Contains(f.Frames, "do_syscall_64") {
		t.Errorf("frames %q", f.Frames)
	}
	if html := NewFlame(nil, true).Draw(); html != "" {
		t.Errorf("of nothing: %s", html)
	}
}

// TestRidges: a hill for each scenario, its fullest bin as high as the others'.
func TestRidges(t *testing.T) {
	list := entries(t)
	all := parse(t, Ridges(list, results.PhaseLimbo).HTML)
	hills := with(all, "path", "hill")
	if len(hills) != len(list) {
		t.Fatalf("%d hills of %d scenarios", len(hills), len(list))
	}
	for i, h := range hills {
		top := 44.0
		for _, m := range regexp.MustCompile(`V([0-9.]+)`).FindAllStringSubmatch(h.attr["d"], -1) {
			y, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			top = min(top, y)
		}
		if top != 6 {
			t.Errorf("hill %d is %v high, not 38", i, 44-top)
		}
	}
	for i, e := range list {
		p50, p99 := share(t, with(all, "line", "q50")[i].attr["x1"]), share(t, with(all, "line", "q99")[i].attr["x1"])
		if p50 < 0 || p99 < p50 || p99 > 100 {
			t.Errorf("%s: p50 at %v %%, p99 at %v %%", e.Label, p50, p99)
		}
	}
}

// TestStrangeNumbers: what isn't a number is drawn at 0, and not as the word for it.
func TestStrangeNumbers(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if num(v) != "0" || percent(v) != "0%" || compact(v) != "0" {
			t.Errorf("%v: %s, %s, %s", v, num(v), percent(v), compact(v))
		}
	}
	b, err := json.Marshal(compacts{1.23456e9, 0.5, math.NaN(), 12})
	if err != nil || string(b) != "[1.235e09,0.5,0,12]" {
		t.Errorf("%s, %v", b, err)
	}
}
