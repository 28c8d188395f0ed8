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
	bases := map[string]int{}
	for _, p := range paths {
		bases[filepath.Base(filepath.Clean(p))]++
	}
	for _, p := range paths {
		d, err := results.Open(p)
		if err != nil {
			return nil, nil, err
		}
		name := filepath.Base(filepath.Clean(p))
		if bases[name] > 1 || name == "." || name == ".." {
			name = filepath.Clean(p)
		}
		dirs, inputs = append(dirs, d), append(inputs, Input{Name: name, Run: d.Run})
	}
	return dirs, inputs, nil
}
