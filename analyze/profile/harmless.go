// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"slices"
	"strings"

	pprof "github.com/google/pprof/profile"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// Harmless returns a copy of a stranger's profile that pprof can be given: no
// file names to open, no patterns to apply, no addresses to follow, and no
// character that means anything in HTML, in case that a view forgets to escape
// one.
func Harmless(p *pprof.Profile) *pprof.Profile {
	p = p.Copy()
	clean := strings.NewReplacer("<", "‹", ">", "›", `"`, "”", "'", "’", "&", "＆")
	safe := func(s string) string { return clean.Replace(safetext.Name(s)) }
	for _, f := range p.Function {
		f.Name, f.SystemName, f.Filename, f.StartLine = safe(f.Name), safe(f.SystemName), "", 0
	}
	for _, m := range p.Mapping {
		m.File, m.BuildID, m.KernelRelocationSymbol = safe(m.File), "", ""
		if m.File != "" && !strings.HasPrefix(m.File, "[") {
			m.File = "[" + m.File + "]"
		}
	}
	for _, s := range p.Sample {
		for k, vs := range s.Label {
			for i := range vs {
				vs[i] = safe(vs[i])
			}
			if c := safe(k); c != k {
				delete(s.Label, k)
				s.Label[c] = vs
			}
		}
		for k, units := range s.NumUnit {
			for i := range units {
				s.NumUnit[k][i] = safe(units[i])
			}
		}
		for k, ns := range s.NumLabel {
			if c := safe(k); c != k {
				units := s.NumUnit[k]
				delete(s.NumLabel, k)
				delete(s.NumUnit, k)
				s.NumLabel[c] = ns
				if units != nil {
					s.NumUnit[c] = units
				}
			}
		}
	}
	for _, t := range append(slices.Clone(p.SampleType), p.PeriodType) {
		if t != nil {
			t.Type, t.Unit = safe(t.Type), safe(t.Unit)
		}
	}
	for i := range p.Comments {
		p.Comments[i] = safe(p.Comments[i])
	}
	p.DropFrames, p.KeepFrames, p.DocURL = "", "", ""
	p.DefaultSampleType = safe(p.DefaultSampleType)
	if !slices.ContainsFunc(p.SampleType, func(t *pprof.ValueType) bool { return t.Type == p.DefaultSampleType }) {
		p.DefaultSampleType = results.PhaseLimbo
	}
	return p
}
