// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"slices"
	"strings"

	pprof "github.com/google/pprof/profile"
)

// inlined finds the stacks of two sides that differ only by what a compiler inlined.
//
// A function is a suspect on the side that has it as a frame where the other side has it
// in no stack at all. Two stacks that are equal without suspects are the same if no
// place between two frames has suspects on both sides: there one function took the
// place of another, and that is a change of the path.
type inlined struct {
	known [2]map[frame]bool
	// places are those of suspects on each side, by the stack without them.
	places [2]map[string]map[int]bool
	// left are the functions that were left out.
	left map[string]bool
}

func newInlined(base, candidate []*pprof.Profile) *inlined {
	in := &inlined{left: map[string]bool{}}
	var stacks [2][][]frame
	for side, ps := range [][]*pprof.Profile{base, candidate} {
		in.known[side], in.places[side] = map[frame]bool{}, map[string]map[int]bool{}
		for _, p := range ps {
			fold := folder{}
			for _, s := range p.Sample {
				callers, _ := split(fold.stack(s))
				stacks[side] = append(stacks[side], callers)
				for _, f := range callers {
					in.known[side][f] = true
				}
			}
		}
	}
	for side := range stacks {
		for _, s := range stacks[side] {
			rest, places := in.without(side, s)
			key := keyOfStack(rest)
			if in.places[side][key] == nil {
				in.places[side][key] = map[int]bool{}
			}
			for _, at := range places {
				in.places[side][key][at] = true
			}
		}
	}
	return in
}

// without returns a stack without suspects, and the places where they were: the number
// of frames outside of each.
func (in *inlined) without(side int, stack []frame) (rest []frame, places []int) {
	for _, f := range stack {
		if f.mapping == mappingOwn || in.known[1-side][f] {
			rest = append(rest, f)
		} else {
			places = append(places, len(rest))
		}
	}
	return rest, places
}

// callers returns a stack as both sides have it.
func (in *inlined) callers(side int, stack []frame) []frame {
	rest, places := in.without(side, stack)
	if len(places) == 0 {
		return stack
	}
	key := keyOfStack(rest)
	other, ok := in.places[1-side][key]
	if !ok {
		return stack
	}
	for at := range in.places[side][key] {
		if other[at] {
			return stack
		}
	}
	for _, f := range stack {
		if !slices.Contains(rest, f) {
			in.left[f.name] = true
		}
	}
	return rest
}

func keyOfStack(stack []frame) string {
	var b strings.Builder
	for _, f := range stack {
		b.WriteString(f.name + "\x00" + f.mapping + "\x00")
	}
	return b.String()
}
