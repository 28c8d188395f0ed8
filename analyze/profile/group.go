// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	pprof "github.com/google/pprof/profile"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// group is an outermost frame that a label of the samples becomes.
type group struct{ label, prefix string }

var (
	groupKernel    = group{"kernel", "[kernel] "}
	groupStrategy  = group{"strategy", "[strategy] "}
	groupContainer = group{"container", "[container] "}
	groupOuter     = group{"outer", "[outer map] "}
	groupCreator   = group{"creator", "[creator] "}
)

// cgroupPrefix begins the frame of what is in no container: the label is a path then.
const cgroupPrefix = "[cgroup] "

// frame is the frame of a label's value.
func (g group) frame(value string) frame {
	if g == groupContainer && strings.HasPrefix(value, "/") {
		return frame{cgroupPrefix + value, mappingOwn}
	}
	return frame{g.prefix + value, mappingOwn}
}

// reading is an order of groups, the outermost first, that suits some sample types.
type reading struct {
	ofMemory bool
	groups   []group
}

// readings: of time it is asked what waits, of memory who holds it.
var readings = []reading{
	{false, []group{groupKernel, groupStrategy, groupContainer, groupOuter}},
	{true, []group{groupKernel, groupContainer, groupOuter, groupCreator, groupStrategy}},
}

// IsGroupFrame says whether a frame is one of the outermost ones that Group adds.
func IsGroupFrame(name string) bool {
	return strings.HasPrefix(name, cgroupPrefix) || slices.ContainsFunc(readings, func(r reading) bool {
		return slices.ContainsFunc(r.groups, func(g group) bool { return strings.HasPrefix(name, g.prefix) })
	})
}

// Group returns a copy of a profile for the eye: below frames of kernel, strategy and
// outer map the stacks, with the frames that are the same by role folded (see entries),
// and the phases as leaf frames. Sample types of memory have another order of groups
// than those of time: each sample is split in two for it, and all totals stay what they
// are. What was grouped before isn't again.
func Group(p *pprof.Profile) *pprof.Profile {
	return grouping{kernel: true}.apply(p)
}

// GroupSides is Group for profiles that are subtracted, base from candidate: what is
// the same on both sides is under the same frames. Where the two aren't of the same
// kernels there is no frame of the kernel, and a function that only one side has as a
// frame, since it was inlined on the other, is left out of the stacks that are the same
// without it (see inlined). notes say so.
func GroupSides(base, candidate []*pprof.Profile) (b, c []*pprof.Profile, notes []string) {
	kernels := [2][]string{kernelsOf(base), kernelsOf(candidate)}
	in := newInlined(base, candidate)
	g := grouping{kernel: slices.Equal(kernels[0], kernels[1]), callers: in.callers}
	for _, p := range base {
		g.side = 0
		b = append(b, g.apply(p))
	}
	for _, p := range candidate {
		g.side = 1
		c = append(c, g.apply(p))
	}
	if !g.kernel {
		notes = append(notes, fmt.Sprintf("stacks are without the kernel, which differs: %s against %s", listed(kernels[1]), listed(kernels[0])))
	}
	if left := slices.Sorted(maps.Keys(in.left)); len(left) > 0 {
		notes = append(notes, "stacks are without the functions that only one side has as frames: "+listed(left))
	}
	return b, c, notes
}

// kernelsOf are the different kernels of samples.
func kernelsOf(ps []*pprof.Profile) []string {
	found := map[string]bool{}
	for _, p := range ps {
		for _, s := range p.Sample {
			found[labelOf(s, groupKernel.label)] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func labelOf(s *pprof.Sample, label string) string { return strings.Join(s.Label[label], ", ") }

// listed names the first few of many.
func listed(names []string) string {
	const few = 8
	more := ""
	if n := len(names); n > few {
		names, more = names[:few], fmt.Sprintf(" and %d more", n-few)
	}
	return safetext.Text(strings.Join(names, ", ")) + more
}

// grouping is how one side of profiles is shown.
type grouping struct {
	kernel  bool
	side    int
	callers func(side int, stack []frame) []frame // nil: as they are
}

func (g grouping) apply(p *pprof.Profile) *pprof.Profile {
	out := p.Copy()
	samples := out.Sample
	out.Sample, out.Location, out.Function, out.Mapping = nil, nil, nil, nil
	l := newLocations(out)
	memory := make([]bool, len(out.SampleType))
	for i, t := range out.SampleType {
		memory[i] = t.Type == SampleLimboBytes || t.Type == SampleLimboByteSeconds
	}
	fold := folder{}
	for _, s := range samples {
		callers, leaf := split(fold.stack(s))
		grouped := len(callers) > 0 && callers[0].mapping == mappingOwn && IsGroupFrame(callers[0].name)
		if g.callers != nil && !grouped {
			callers = g.callers(g.side, callers)
		}
		for _, r := range readings {
			value, zero := make([]int64, len(s.Value)), true
			for i, v := range s.Value {
				if memory[i] == r.ofMemory && v != 0 {
					value[i], zero = v, false
				}
			}
			if zero {
				continue
			}
			var stack []frame
			if !grouped {
				stack = g.groups(s, r)
			}
			stack = append(append(stack, callers...), leaf...)
			locations := make([]*pprof.Location, 0, len(stack))
			for _, f := range slices.Backward(stack) {
				locations = append(locations, l.location(results.Frame{Function: f.name}, f.mapping))
			}
			out.Sample = append(out.Sample, &pprof.Sample{Location: locations, Value: value, Label: s.Label, NumLabel: s.NumLabel, NumUnit: s.NumUnit})
		}
	}
	return out
}

func (g grouping) groups(s *pprof.Sample, r reading) []frame {
	var out []frame
	for _, of := range r.groups {
		if v := labelOf(s, of.label); v != "" && (g.kernel || of != groupKernel) {
			out = append(out, of.frame(v))
		}
	}
	return out
}

// split takes the phase, which is no caller, off a stack.
func split(stack []frame) (callers, leaf []frame) {
	if n := len(stack); n > 0 && stack[n-1].mapping == mappingOwn && strings.HasPrefix(stack[n-1].name, PhaseFrame) {
		return stack[:n-1], stack[n-1:]
	}
	return stack, nil
}
