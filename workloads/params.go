// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/pflag"
)

// Annotations of flags: results have the value of an OnlyGiven one where it was given,
// and never that of an Untold one.
const (
	OnlyGiven = "only-given"
	Untold    = "untold"
)

// Params returns the value of every flag of a workload that results have, by name. After Check it has
// the effective values: Check fills in the flags that were not given.
func Params(fs *pflag.FlagSet) map[string]string {
	m := map[string]string{}
	fs.VisitAll(func(f *pflag.Flag) {
		_, onlyGiven := f.Annotations[OnlyGiven]
		if _, untold := f.Annotations[Untold]; !untold && (f.Changed || !onlyGiven) {
			m[f.Name] = f.Value.String()
		}
	})
	return m
}

// New makes the workload of that name with the parameters that were given, by
// the names of their flags; the others have their defaults. The flags are bound
// to it. Whether the values make sense together is for Check to say.
func New(name string, given map[string]string) (Workload, *pflag.FlagSet, error) {
	d, err := Find(name)
	if err != nil {
		return nil, nil, err
	}
	w, fs := d.New(), pflag.NewFlagSet(name, pflag.ContinueOnError)
	w.AddFlags(fs)
	for _, p := range slices.Sorted(maps.Keys(given)) {
		if err := fs.Set(p, given[p]); err != nil {
			return nil, nil, fmt.Errorf("workload %s: %w", name, err)
		}
	}
	return w, fs, nil
}
