// SPDX-License-Identifier: Apache-2.0

package profile

import (
	pprof "github.com/google/pprof/profile"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// Mappings that are not a module's. Names in brackets tell pprof not to look
// for files.
const (
	mappingKernel = "[kernel]"
	mappingOwn    = "[mapprof]"
)

// PhaseFrame begins the leaf frame of every sample of a death, before the name of
// the phase.
const PhaseFrame = "[phase] "

const unknownFunction = "[unknown]"

// maxFrames bounds a stack: the kernel's own limit is 127.
const maxFrames = 512

// locations gives a profile its mappings, functions and locations, each once.
type locations struct {
	p         *pprof.Profile
	mappings  map[string]*pprof.Mapping
	functions map[string]*pprof.Function
	locations map[results.Frame]*pprof.Location
	stacks    map[string][]*pprof.Location
}

func newLocations(p *pprof.Profile) *locations {
	l := &locations{
		p:         p,
		mappings:  map[string]*pprof.Mapping{},
		functions: map[string]*pprof.Function{},
		locations: map[results.Frame]*pprof.Location{},
		stacks:    map[string][]*pprof.Location{},
	}
	l.mapping(mappingKernel) // the first mapping counts as the main binary
	return l
}

func (l *locations) mapping(file string) *pprof.Mapping {
	m := l.mappings[file]
	if m == nil {
		m = &pprof.Mapping{ID: uint64(len(l.p.Mapping) + 1), File: file, HasFunctions: true}
		l.mappings[file] = m
		l.p.Mapping = append(l.p.Mapping, m)
	}
	return m
}

func (l *locations) function(name string) *pprof.Function {
	f := l.functions[name]
	if f == nil {
		f = &pprof.Function{ID: uint64(len(l.p.Function) + 1), Name: name, SystemName: name}
		l.functions[name] = f
		l.p.Function = append(l.p.Function, f)
	}
	return f
}

// location returns the one of a frame. Its address is the offset in the
// function: kernel addresses differ from boot to boot and say nothing.
func (l *locations) location(f results.Frame, mapping string) *pprof.Location {
	key := results.Frame{Function: f.Function, Module: mapping, Offset: f.Offset}
	loc := l.locations[key]
	if loc == nil {
		loc = &pprof.Location{
			ID:      uint64(len(l.p.Location) + 1),
			Mapping: l.mapping(mapping),
			Address: f.Offset,
			Line:    []pprof.Line{{Function: l.function(f.Function)}},
		}
		l.locations[key] = loc
		l.p.Location = append(l.p.Location, loc)
	}
	return loc
}

func (l *locations) phase(name string) *pprof.Location {
	return l.location(results.Frame{Function: PhaseFrame + name}, mappingOwn)
}

// stack returns the locations of a stack, innermost first.
func (l *locations) stack(id string, stacks map[string][]results.Frame) []*pprof.Location {
	if s, ok := l.stacks[id]; ok {
		return s
	}
	var out []*pprof.Location
	for i, f := range stacks[id] {
		if i == maxFrames {
			break
		}
		mapping := mappingKernel
		if m := safetext.Name(f.Module); m != "" {
			mapping = "[" + m + "]"
		}
		name := safetext.Name(f.Function)
		if name == "" {
			name = unknownFunction
		}
		out = append(out, l.location(results.Frame{Function: name, Offset: f.Offset}, mapping))
	}
	if out == nil {
		out = []*pprof.Location{l.location(results.Frame{Function: "[no stack]"}, mappingOwn)}
	}
	l.stacks[id] = out
	return out
}
