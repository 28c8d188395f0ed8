// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"cmp"
	"html/template"
	"slices"
	"strings"

	pprof "github.com/google/pprof/profile"

	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// Bounds on what of a stranger's profile is drawn.
const (
	maxFlameStacks = 2000
	maxFlameDepth  = 64
	maxFlameNodes  = 1500
	flameRow       = 22
	// flameMinWidth is the least share of the whole that is drawn.
	flameMinWidth = 0.0008
)

// flameValues are what a flame graph can be drawn of: limbo time, memory ×
// time, number of deaths.
type flameValues [3]int64

var flameTypes = [3]string{results.PhaseLimbo, profile.SampleLimboByteSeconds, profile.SampleDeaths}

// Flame is the profiles of all shown runs: stacks as profile.Group has them, from the
// outermost frame to the phase, each with its values by entry.
type Flame struct {
	Frames []string      `json:"frames"`
	Stacks []flameStack  `json:"stacks"`
	Names  []flameChoice `json:"entries"`
	// Dropped is how many stacks there were too many.
	Dropped int `json:"dropped,omitempty"`
}

type flameStack struct {
	Frames []int               `json:"f"`
	Values map[int]flameValues `json:"v"` // by index in Names
	total  flameValues
}

type flameChoice struct {
	ID    string `json:"id"`
	Label string `json:"label"`
}

// NewFlame sums the profiles' samples up by stack, and by entry if these are to be kept
// apart. Samples of scenarios that aren't shown are left out.
func NewFlame(entries []*model.Entry, apart bool) *Flame {
	f := &Flame{}
	frames, stacks := map[string]int{}, map[string]int{}
	byRun := map[*model.Loaded]map[string]int{}
	var runs []*model.Loaded
	for i, e := range entries {
		if apart {
			f.Names = append(f.Names, flameChoice{e.ID, e.Label})
		}
		if byRun[e.Loaded] == nil {
			byRun[e.Loaded] = map[string]int{}
			runs = append(runs, e.Loaded)
		}
		byRun[e.Loaded][safetext.Name(e.Scenario.ID)] = i
	}
	for _, l := range runs {
		if l.Profile == nil {
			continue
		}
		ix, ok := flameIndexes(l.Profile)
		if !ok {
			continue
		}
		for _, s := range profile.Group(l.Profile).Sample {
			label := s.Label["scenario"]
			if len(label) != 1 {
				continue
			}
			who, ok := byRun[l][label[0]]
			if !ok {
				continue
			}
			if !apart {
				who = 0
			}
			f.add(frames, stacks, stackOf(s), who, flameValues{s.Value[ix[0]], s.Value[ix[1]], s.Value[ix[2]]})
		}
	}
	f.sort()
	if n := len(f.Stacks); n > maxFlameStacks {
		f.Dropped = n - maxFlameStacks
		f.Stacks = f.Stacks[:maxFlameStacks]
	}
	return f
}

// sort puts the stacks first that have the largest share of any value: those of time
// have none of memory.
func (f *Flame) sort() {
	var all [3]float64
	for _, s := range f.Stacks {
		for i, v := range s.total {
			all[i] += float64(v)
		}
	}
	share := func(s flameStack) (most float64) {
		for i, v := range s.total {
			most = max(most, float64(v)/max(1, all[i]))
		}
		return most
	}
	slices.SortStableFunc(f.Stacks, func(a, b flameStack) int { return cmp.Compare(share(b), share(a)) })
}

func flameIndexes(p *pprof.Profile) (ix [3]int, ok bool) {
	for i, name := range flameTypes {
		ix[i] = slices.IndexFunc(p.SampleType, func(t *pprof.ValueType) bool { return t.Type == name })
		if ix[i] < 0 {
			return ix, false
		}
	}
	return ix, true
}

// stackOf returns a sample's frames, outermost first.
func stackOf(s *pprof.Sample) []string {
	var out []string
	for i := len(s.Location) - 1; i >= 0; i-- {
		l := s.Location[i]
		if len(l.Line) == 0 {
			out = append(out, "[unknown]")
		}
		for j := len(l.Line) - 1; j >= 0; j-- {
			name := "[unknown]"
			if fn := l.Line[j].Function; fn != nil && fn.Name != "" {
				name = safetext.Name(fn.Name)
			}
			if m := l.Mapping; m != nil && m.File != "[kernel]" && m.File != "[mapprof]" {
				name += " " + safetext.Name(m.File)
			}
			out = append(out, name)
		}
	}
	// Keep the leaf: it is the phase.
	if n := len(out); n > maxFlameDepth {
		out = append(out[:maxFlameDepth-1:maxFlameDepth-1], out[n-1])
	}
	return out
}

func (f *Flame) add(frames, stacks map[string]int, stack []string, who int, v flameValues) {
	key := strings.Join(stack, "\x00")
	i, ok := stacks[key]
	if !ok {
		i = len(f.Stacks)
		stacks[key] = i
		st := flameStack{Values: map[int]flameValues{}}
		for _, name := range stack {
			n, ok := frames[name]
			if !ok {
				n = len(f.Frames)
				frames[name] = n
				f.Frames = append(f.Frames, name)
			}
			st.Frames = append(st.Frames, n)
		}
		f.Stacks = append(f.Stacks, st)
	}
	st := &f.Stacks[i]
	sum := st.Values[who]
	for j := range v {
		// Negative values have no width.
		sum[j] += max(0, v[j])
		st.total[j] += max(0, v[j])
	}
	st.Values[who] = sum
}

// flameNode is a frame in its place.
type flameNode struct {
	frame    int
	value    int64
	children []*flameNode
}

func (f *Flame) tree() *flameNode {
	root := &flameNode{frame: -1}
	for _, s := range f.Stacks {
		at := root
		at.value += s.total[0]
		for _, fr := range s.Frames {
			i := slices.IndexFunc(at.children, func(c *flameNode) bool { return c.frame == fr })
			if i < 0 {
				at.children = append(at.children, &flameNode{frame: fr})
				i = len(at.children) - 1
			}
			at = at.children[i]
			at.value += s.total[0]
		}
	}
	return root
}

// Draw writes the flame graph of everything: the outermost frame on top, the
// phases at the bottom. Each frame is an image of its own, which cuts its text
// off where it ends.
func (f *Flame) Draw() template.HTML {
	root := f.tree()
	if root.value <= 0 {
		return ""
	}
	var body markup
	depth, nodes := 0, 0
	var walk func(n *flameNode, at float64, level int)
	walk = func(n *flameNode, at float64, level int) {
		w := float64(n.value) / float64(root.value)
		if w < flameMinWidth || nodes >= maxFlameNodes {
			return
		}
		nodes++
		depth = max(depth, level+1)
		name := "all: who dropped the last reference"
		if n.frame >= 0 {
			name = f.Frames[n.frame]
		}
		body.rawf(`<svg class="fr" x="%s" y="%d" width="%s" height="%d"><title>`, percent(at), level*flameRow, percent(w), flameRow-1)
		body.text(name + ": " + model.FormatDuration(float64(n.value)) + " (" + model.FormatShare(w) + ")")
		body.rawf(`</title><rect class="%s" width="100%%" height="100%%"/>`, flameClass(name))
		if w > 0.012 {
			body.raw(`<text x="5" y="15">`)
			body.text(name)
			if w > 0.25 {
				body.text("  " + model.FormatDuration(float64(n.value)))
			}
			body.raw(`</text>`)
		}
		body.raw(`</svg>`)
		slices.SortStableFunc(n.children, func(a, b *flameNode) int { return cmp.Compare(b.value, a.value) })
		for _, c := range n.children {
			walk(c, at, level+1)
			at += float64(c.value) / float64(root.value)
		}
	}
	walk(root, 0, 0)
	var m markup
	m.rawf(`<svg class="flame" id="flame-static" height="%d" role="img" aria-label="flame graph of limbo time by who dropped the last reference">`, depth*flameRow)
	m.raw(body.b.String())
	m.raw(`</svg>`)
	return m.html()
}

func flameClass(name string) string {
	if phase, ok := strings.CutPrefix(name, profile.PhaseFrame); ok {
		if class := model.PhaseClass(phase); class != "" {
			return class
		}
	}
	switch {
	case strings.HasPrefix(name, "all:"), profile.IsGroupFrame(name):
		return "fl-root"
	case strings.HasSuffix(name, "]"):
		return "fl-mod"
	case strings.Contains(name, "bpf") || strings.Contains(name, "map"):
		return "fl-bpf"
	}
	return "fl-k"
}
