// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// IncomparableError says why a comparison would mean nothing.
type IncomparableError struct{ Reasons []string }

func (e *IncomparableError) Error() string {
	return "compare: not comparable: " + strings.Join(e.Reasons, "; ") + " (--force compares all the same, and marks it)"
}

// ErrNothingMatched is that two runs have no scenario that could be compared.
var ErrNothingMatched = errors.New("they have no workload with the same strategy in common")

// variant is one scenario with where it comes from.
type variant struct {
	label    string
	ix       int // of the input
	input    Input
	Scenario *results.Scenario
	target   *results.Target
}

func (v variant) side() Side {
	return Side{Label: safetext.Name(v.label), Scenario: v.Scenario.ID, Kernel: v.Scenario.Kernel,
		Requested: v.Scenario.Strategy.Requested, Observed: v.Scenario.Strategy.Observed,
		Clock: v.target.Clock, Trials: len(WholeTrials(v.Scenario)), Input: v.ix}
}

type matched struct {
	name     string
	Variants []variant
}

func variantsOf(inputs []Input) []variant {
	var out []variant
	for i, in := range inputs {
		for j := range in.Run.Scenarios {
			s := &in.Run.Scenarios[j]
			out = append(out, variant{ix: i, input: in, Scenario: s, target: &in.Run.Targets[s.TargetIx]})
		}
	}
	return out
}

// match makes the groups, and notes what is left over.
func match(inputs []Input, by string, c *Comparison) []matched {
	if by == ByRun {
		return MatchRuns(inputs, c)
	}
	var keys []string
	byKey := map[string][]variant{}
	for _, v := range variantsOf(inputs) {
		s := v.Scenario
		parts := []string{}
		if by != ByWorkload {
			parts = append(parts, s.Workload)
		}
		if by != ByStrategy {
			parts = append(parts, s.Strategy.Requested)
		}
		if by != ByKernel {
			parts = append(parts, s.KernelName())
			if len(inputs) > 1 {
				parts = append(parts, v.input.Name)
			}
		}
		name := strings.Join(parts, " ")
		key := name
		switch by {
		case ByStrategy:
			v.label = s.Strategy.Requested
		case ByKernel:
			v.label = s.KernelName()
		case ByWorkload:
			v.label = s.Workload
		}
		if by != ByKernel {
			key += fmt.Sprintf("\x00%d\x00%d", v.ix, s.TargetIx)
		}
		if by != ByWorkload && len(inputs) == 1 {
			key += "\x00" + paramsKey(s.Params)
		}
		if byKey[key] == nil {
			keys = append(keys, key)
		}
		byKey[key] = append(byKey[key], v)
	}
	var out []matched
	for _, key := range keys {
		vs := byKey[key]
		name, _, _ := strings.Cut(key, "\x00")
		if len(vs) < 2 {
			c.Unmatched = append(c.Unmatched, vs[0].input.Name+": "+safetext.Name(vs[0].Scenario.ID))
			continue
		}
		number(vs)
		out = append(out, matched{name: safetext.Name(name), Variants: vs})
	}
	return out
}

// number tells sides of equal names apart: two builds of one release.
func number(vs []variant) {
	seen := map[string]int{}
	for i := range vs {
		label := vs[i].label
		if seen[label]++; seen[label] > 1 {
			vs[i].label = fmt.Sprintf("%s#%d", label, seen[label])
		}
	}
}

// MatchRuns sets each scenario of the first run beside those of the others
// that do the same.
func MatchRuns(inputs []Input, c *Comparison) []matched {
	all := variantsOf(inputs)
	pairs := make([]map[*results.Scenario]variant, len(inputs))
	kinds := kindsOf(all)
	for i := 1; i < len(inputs); i++ {
		pairs[i] = counterparts(kinds, i)
	}
	used := map[*results.Scenario]bool{}
	var out []matched
	for _, base := range all {
		if base.ix != 0 {
			continue
		}
		base.label = base.input.Name
		g := matched{Variants: []variant{base}}
		for i := 1; i < len(inputs); i++ {
			v, ok := pairs[i][base.Scenario]
			if !ok {
				c.Unmatched = append(c.Unmatched, fmt.Sprintf("%s: %s has no counterpart in %s",
					inputs[0].Name, safetext.Name(base.Scenario.ID), inputs[i].Name))
				continue
			}
			used[v.Scenario] = true
			v.label = v.input.Name
			g.Variants = append(g.Variants, v)
		}
		if len(g.Variants) > 1 {
			used[base.Scenario] = true
			g.name = safetext.Name(base.Scenario.Workload + " " + base.Scenario.Strategy.Requested)
			if kernel := base.Scenario.Kernel; !slices.ContainsFunc(g.Variants, func(v variant) bool { return v.Scenario.Kernel != kernel }) {
				g.name += " " + safetext.Name(kernel)
			}
			out = append(out, g)
		}
	}
	for _, v := range all {
		if v.ix > 0 && !used[v.Scenario] {
			c.Unmatched = append(c.Unmatched, fmt.Sprintf("%s: %s has no counterpart in %s",
				v.input.Name, safetext.Name(v.Scenario.ID), inputs[0].Name))
		}
	}
	return out
}

// paramsKey is equal for equal parameters. One that is empty is the same as
// one that isn't there.
func paramsKey(params map[string]string) string {
	var parts []string
	for k, v := range params {
		if v != "" {
			parts = append(parts, k+"="+v)
		}
	}
	sort.Strings(parts)
	return strings.Join(parts, "\x00")
}

// differences lists what makes two scenarios not comparable.
func differences(a, b variant, by string) []string {
	var out []string
	differ := func(what, x, y string) {
		if x != y {
			out = append(out, fmt.Sprintf("%s %s against %s", what, OrNone(x), OrNone(y)))
		}
	}
	if min(a.input.Run.SchemaVersion, b.input.Run.SchemaVersion) < 1 { // every version that existed measures alike
		differ("schema", fmt.Sprint(a.input.Run.SchemaVersion), fmt.Sprint(b.input.Run.SchemaVersion))
	}
	differ("target", a.target.Kind, b.target.Kind)
	differ("accelerator", a.target.Accel, b.target.Accel)
	differ("architecture", a.target.Architecture(), b.target.Architecture())
	differ("clock", a.target.Clock, b.target.Clock)
	differ("CPUs", fmt.Sprint(a.target.CPUs), fmt.Sprint(b.target.CPUs))
	if a.target.CPUsAllowed > 0 && b.target.CPUsAllowed > 0 { // earlier runs didn't count them
		differ("CPUs allowed", fmt.Sprint(a.target.CPUsAllowed), fmt.Sprint(b.target.CPUsAllowed))
	}
	differ("memory bytes", fmt.Sprint(a.target.MemoryBytes), fmt.Sprint(b.target.MemoryBytes))
	if results.Deterministic(a.target.Clock) {
		// Another translator executes other instructions.
		differ("QEMU", a.target.QEMU, b.target.QEMU)
	}
	differ("loop", a.Scenario.Loop, b.Scenario.Loop)
	if by == ByWorkload {
		return out
	}
	differ("workload", a.Scenario.Workload, b.Scenario.Workload)
	names := map[string]bool{}
	maps.Copy(names, keysOf(a.Scenario.Params))
	maps.Copy(names, keysOf(b.Scenario.Params))
	for _, name := range slices.Sorted(maps.Keys(names)) {
		differ("parameter "+safetext.Name(name), a.Scenario.Params[name], b.Scenario.Params[name])
	}
	return out
}

func keysOf(m map[string]string) map[string]bool {
	out := map[string]bool{}
	for k := range m {
		out[k] = true
	}
	return out
}

func OrNone(s string) string {
	if s == "" {
		return "none"
	}
	return safetext.Name(s)
}

// caveats lists what differs, forbids nothing, and should be known.
func caveats(a, b variant) []string {
	var out []string
	la, lb := safetext.Name(a.label), safetext.Name(b.label)
	say := func(format string, args ...any) { out = append(out, la+" and "+lb+": "+fmt.Sprintf(format, args...)) }
	if ka, kb := a.target.Kernel.Cmdline, b.target.Kernel.Cmdline; ka != kb {
		say("the kernel command lines differ: %s | %s", OrNone(ka), OrNone(kb))
	}
	if ta, tb := a.input.Run.Tool.Version, b.input.Run.Tool.Version; ta != tb {
		say("made by different versions of mapprof (%s, %s), whose probes may cost differently", OrNone(ta), OrNone(tb))
	}
	ha, hb := a.input.Run.Host, b.input.Run.Host
	if !results.Deterministic(a.target.Clock) && ha != hb {
		say("made on different hosts, whose wall clocks don't compare well")
	}
	var probes []string
	pa, pb := analyze.Attached(a.target), analyze.Attached(b.target)
	for name := range pa {
		if pb[name] != pa[name] && pb[name] != "" && pa[name] != "" {
			_, function, _ := strings.Cut(name, "\x00")
			probes = append(probes, safetext.Name(function))
		}
	}
	if len(probes) > 0 {
		sort.Strings(probes)
		say("probed in different ways, which cost differently: %s", strings.Join(probes, ", "))
	}
	for _, v := range []variant{a, b} {
		if n := len(v.Scenario.Trials) - len(WholeTrials(v.Scenario)); n > 0 {
			out = append(out, fmt.Sprintf("%s: %d partial trials of %s left out", safetext.Name(v.label), n, safetext.Name(v.Scenario.ID)))
		}
	}
	return out
}
