// SPDX-License-Identifier: Apache-2.0

package web

import (
	"net/url"
	"regexp"
	"slices"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/html"
	"github.com/mapprof/mapprof/report/model"
)

// newChoice offers values, and first of all none of them. It returns false
// when there is nothing to choose.
func newChoice(name, label, all, selected string, values []string) (html.Choice, bool) {
	c := html.Choice{Name: name, Label: label, Options: []html.Option{{Text: all, Selected: selected == ""}}}
	for _, v := range values {
		c.Options = append(c.Options, html.Option{Value: v, Text: safetext.Name(v), Selected: v == selected})
	}
	return c, len(values) > 1 || selected != ""
}

// offered are the scenarios of a choice. Of more than a page draws, the rows of the
// page's table are the links.
func offered(all []string, selected string) []string {
	switch {
	case len(all) <= model.MaxDrawn:
		return all
	case slices.Contains(all, selected):
		return []string{selected}
	}
	return nil
}

// distinct is a list without empty and equal names, in the order in which they come.
type distinct struct {
	list []string
	has  map[string]bool
}

func (d *distinct) add(name string) {
	if name == "" || d.has[name] {
		return
	}
	if d.has == nil {
		d.has = map[string]bool{}
	}
	d.has[name], d.list = true, append(d.list, name)
}

func liveLinksOf(at *url.URL, runs []*model.Loaded, found []*foundRun, f model.Filter, facetBy string) *html.LiveLinks {
	l := &html.LiveLinks{Filtered: !f.Empty() || facetBy != ""}
	keep := url.Values{}
	if len(found) > 1 || at.Path == "/compare" {
		for _, r := range found {
			keep.Add("run", r.ID)
			l.Keep = append(l.Keep, html.Fact{Name: "run", Value: r.ID})
		}
		keep.Set("base", found[0].ID)
	}
	if len(found) == 2 {
		l.Actions = append(l.Actions, html.Link{Text: "Swap sides", Href: withBase(at, found[1].ID), Keep: true})
	}
	l.ClearHref = at.Path
	if len(keep) > 0 {
		l.ClearHref += "?" + keep.Encode()
	}

	var kernels, strategies, types, scenarios distinct
	for _, r := range runs {
		for i := range r.Run.Scenarios {
			s := &r.Run.Scenarios[i]
			kernels.add(s.KernelName())
			strategies.add(s.Strategy.Requested)
			scenarios.add(s.ID)
			for _, t := range model.MapTypes(s) {
				types.add(t)
			}
		}
	}
	if len(found) > 1 {
		c := html.Choice{Name: "base", Label: "Base"}
		for i, r := range found {
			c.Options = append(c.Options, html.Option{Value: r.ID, Text: r.Name, Selected: i == 0})
		}
		l.Selects = append(l.Selects, c)
	}
	for _, c := range []struct {
		name, label, all, selected string
		values                     []string
	}{
		{"scenario", "Scenario", "all", f.Scenario, offered(scenarios.list, f.Scenario)},
		{"kernel", "Kernel", "all", f.Kernel, kernels.list},
		{"strategy", "Strategy", "all", f.Strategy, strategies.list},
		{"map", "Map type", "all", f.MapType, types.list},
	} {
		if ch, ok := newChoice(c.name, c.label, c.all, c.selected, c.values); ok {
			l.Selects = append(l.Selects, ch)
		}
	}
	if ch, _ := newChoice("facet", "Charts by", "default", facetBy, []string{model.FacetKernel, model.FacetStrategy}); len(scenarios.list) > 1 || len(runs) > 1 {
		l.Selects = append(l.Selects, ch)
	}
	addActions(l, runs, found, f)
	return l
}

// maxDiffs is how many of pprof's differences a page has buttons for.
const maxDiffs = 4

// addActions adds what can be done with the runs: pprof's views, files to save,
// and of several runs each.
func addActions(l *html.LiveLinks, runs []*model.Loaded, found []*foundRun, f model.Filter) {
	query := "?si=limbo"
	if f.Scenario != "" && len(found) == 1 {
		query += "&tf=" + url.QueryEscape("scenario=^"+regexp.QuoteMeta(safetext.Name(f.Scenario))+"$")
	}
	if len(found) == 1 {
		base := "/run/" + url.PathEscape(found[0].ID)
		if runs[0].Profile != nil {
			l.Actions = append(l.Actions, html.Link{Text: "Flame graph in pprof", Href: base + "/pprof/flamegraph" + query, Main: true})
			for _, v := range []struct{ path, text string }{{"flamegraph", "flame graph"}, {"top", "top"}, {"peek", "peek"}, {"graph", "graph"}} {
				l.Pprof = append(l.Pprof, html.Link{Text: v.text, Href: base + "/pprof/" + v.path + query})
			}
		}
		l.Actions = append(l.Actions,
			html.Link{Text: "Report as a file", Href: base + "/report.html", Download: fileName(found[0], "html")},
			html.Link{Text: "Timeline for Perfetto", Href: base + "/trace.json", Download: fileName(found[0], "trace.json")},
			html.Link{Text: "run.json", Href: base + "/run.json", Download: fileName(found[0], "run.json")})
		return
	}
	diffs := 0
	for i, r := range found[1:] {
		if runs[0].Profile == nil || runs[i+1].Profile == nil || diffs == maxDiffs {
			continue
		}
		diffs++
		base := "/diff/" + url.PathEscape(found[0].ID) + "/" + url.PathEscape(r.ID) + "/pprof/"
		text := "Diff in pprof"
		if len(found) > 2 {
			text += ": " + r.Name
		}
		l.Actions = append(l.Actions, html.Link{Text: text, Href: base + "flamegraph?si=limbo", Main: i == 0})
		for _, v := range []struct{ path, text string }{{"flamegraph", "flame graph"}, {"top", "top"}} {
			l.Pprof = append(l.Pprof, html.Link{Text: v.text + " of the difference to " + r.Name, Href: base + v.path + "?si=limbo"})
		}
	}
	for _, r := range found {
		l.Actions = append(l.Actions, html.Link{Text: r.Name, Href: "/run/" + url.PathEscape(r.ID)})
	}
}
