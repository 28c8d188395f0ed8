// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/pflag"
)

// Params returns every flag's value of a workload, by name. New makes the same
// workload of them: each flag's value parses what it prints.
func Params(fs *pflag.FlagSet) map[string]string {
	m := map[string]string{}
	fs.VisitAll(func(f *pflag.Flag) { m[f.Name] = f.Value.String() })
	return m
}

// New makes the workload of that name with parameters, by the names of their
// flags. Those that are left out have their defaults. Whether the values make
// sense together is for Check to say.
func New(name string, params map[string]string) (Workload, error) {
	d, err := Find(name)
	if err != nil {
		return nil, err
	}
	w := d.New()
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	w.AddFlags(fs)
	for _, p := range slices.Sorted(maps.Keys(params)) {
		if err := fs.Set(p, params[p]); err != nil {
			return nil, fmt.Errorf("workload %s: %w", name, err)
		}
	}
	return w, nil
}
