// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"fmt"
	"path/filepath"

	"github.com/mapprof/mapprof/results"
)

// DefaultGrouping is what the scenarios of a single run are compared by: what
// varies in it.
func DefaultGrouping(run *results.Run) string {
	first := run.Scenarios
	differs := func(of func(*results.Scenario) string) bool {
		for i := range first {
			if of(&first[i]) != of(&first[0]) {
				return true
			}
		}
		return false
	}
	switch {
	case differs(func(s *results.Scenario) string { return fmt.Sprint(s.TargetIx) }):
		return ByKernel
	case differs(func(s *results.Scenario) string { return s.Workload }):
		return ByWorkload
	}
	return ByStrategy
}

// Open opens run directories and gives them names that tell them apart.
func Open(paths []string) ([]*results.Dir, []Input, error) {
	var dirs []*results.Dir
	var inputs []Input
	names := Names(paths)
	for i, p := range paths {
		d, err := results.Open(p)
		if err != nil {
			return nil, nil, err
		}
		dirs, inputs = append(dirs, d), append(inputs, Input{Name: names[i], Run: d.Run})
	}
	return dirs, inputs, nil
}

// Names are the last parts of paths, or the whole ones where these are alike.
func Names(paths []string) []string {
	bases := map[string]int{}
	for _, p := range paths {
		bases[filepath.Base(filepath.Clean(p))]++
	}
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = filepath.Base(filepath.Clean(p))
		if bases[names[i]] > 1 || names[i] == "." || names[i] == ".." {
			names[i] = filepath.Clean(p)
		}
	}
	return names
}
