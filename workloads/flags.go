// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/internal/flagvalue"
)

// Flags are the flags of all workloads together. Which of them there are
// is known only when --workload has been parsed, so each keeps what it is given
// until then.
type Flags struct {
	name  *string // of the workload
	made  map[string]Workload
	sets  map[string]*pflag.FlagSet // by workload, bound to made
	given []givenParam
}

type givenParam struct{ name, value string }

// NewFlags adds the flags of every workload to others, hidden there: Usage
// describes them. The workload's name is in name when the flags are parsed.
func NewFlags(fs *pflag.FlagSet, name *string) *Flags {
	p := &Flags{name: name, made: map[string]Workload{}, sets: map[string]*pflag.FlagSet{}}
	for _, d := range All() {
		w, own := d.New(), pflag.NewFlagSet(d.Name, pflag.ContinueOnError)
		own.SortFlags = false
		w.AddFlags(own)
		p.made[d.Name], p.sets[d.Name] = w, own
		own.VisitAll(func(f *pflag.Flag) {
			if fs.Lookup(f.Name) != nil {
				return // another workload's too
			}
			added := fs.VarPF(&paramValue{p, f.Name, f.Value.Type()}, f.Name, "", f.Usage)
			added.NoOptDefVal, added.Hidden = f.NoOptDefVal, true
		})
	}
	return p
}

// Has tells whether a flag is a workload's.
func (p *Flags) Has(flag string) bool { return len(p.having(flag)) > 0 }

// Known returns the values that a flag of the workload that was asked for takes, as far
// as it says so.
func (p *Flags) Known(flag string) []string {
	if own := p.sets[*p.name]; own != nil && own.Lookup(flag) != nil {
		return flagvalue.KnownOf(own.Lookup(flag))
	}
	return nil
}

// Summaries lists the workloads, each with what it does.
func Summaries() (terms [][2]string) {
	for _, d := range All() {
		terms = append(terms, [2]string{d.Name, d.Summary})
	}
	return terms
}

// FlagsOf are the flags of a workload, with its defaults.
func FlagsOf(d Description) *pflag.FlagSet {
	fs := pflag.NewFlagSet(d.Name, pflag.ContinueOnError)
	fs.SortFlags = false
	d.New().AddFlags(fs)
	return fs
}

// Workload makes the workload that was asked for, and returns the parameters
// that were given, by name. Whether they make sense together is for its Check to
// say.
func (p *Flags) Workload() (Workload, map[string]string, error) {
	if _, err := Find(*p.name); err != nil {
		return nil, nil, err
	}
	own, given := p.sets[*p.name], map[string]string{}
	for _, g := range p.given {
		if own.Lookup(g.name) == nil {
			return nil, nil, fmt.Errorf("--%s is a flag of --workload %s, not of %s", g.name, strings.Join(p.having(g.name), " and "), *p.name)
		}
		if err := own.Set(g.name, g.value); err != nil {
			return nil, nil, err
		}
		given[g.name] = g.value
	}
	return p.made[*p.name], given, nil
}

// having names the workloads that have a flag.
func (p *Flags) having(flag string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(p.sets)), func(w string) bool { return p.sets[w].Lookup(flag) == nil })
}

// paramValue keeps what the flag of a workload is given.
type paramValue struct {
	flags      *Flags
	name, kind string
}

// Set implements pflag.Value.
func (v *paramValue) Set(s string) error {
	v.flags.given = append(v.flags.given, givenParam{v.name, s})
	return nil
}

// String implements pflag.Value.
func (v *paramValue) String() string { return "" }

// Type implements pflag.Value.
func (v *paramValue) Type() string { return v.kind }
