// SPDX-License-Identifier: Apache-2.0

package history

import (
	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/results"
)

// OfDirs is Of the runs in directories. The options must be fit for as many.
func OfDirs(paths []string, o Options) (*History, error) {
	o.KeepOrder = o.KeepOrder || len(o.Labels) > 0
	names := compare.Names(paths)
	i := -1
	return Of(func() (Input, bool, error) {
		if i++; i == len(paths) {
			return Input{}, false, nil
		}
		run, err := results.ReadRun(paths[i])
		if err != nil {
			return Input{}, false, err
		}
		in := Input{Name: names[i], Run: run}
		if len(o.Labels) > 0 {
			in.Label = o.Labels[i]
		}
		return in, true, nil
	}, o)
}
