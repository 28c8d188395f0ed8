// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/internal/flagvalue"
)

// Description is a workload's entry in the registry.
type Description struct {
	Name, Summary string
	New           func() Workload
	// Hidden says that it has a command of its own, and is no choice of --workload.
	Hidden bool
}

var registry []Description

// Register adds a workload to what Find and All know. It is for the init of the
// workload's package: not safe for concurrent use.
func Register(d Description) {
	registry = append(registry, d)
	slices.SortFunc(registry, func(a, b Description) int { return strings.Compare(a.Name, b.Name) })
}

// All lists the workloads by name, without the hidden ones.
func All() []Description {
	return slices.DeleteFunc(slices.Clone(registry), func(d Description) bool { return d.Hidden })
}

// UnknownError is returned for a name that isn't registered.
type UnknownError struct {
	What, Name string
	Known      []string
}

func (e *UnknownError) Error() string {
	hint := ""
	if nearest := flagvalue.Nearest(e.Name, e.Known); nearest != "" {
		hint = "did you mean " + nearest + "? "
	}
	return fmt.Sprintf("unknown %s %q (%sknown: %s)", e.What, e.Name, hint, strings.Join(e.Known, ", "))
}

// Find finds a workload by name.
func Find(name string) (Description, error) {
	var names []string
	for _, d := range registry {
		if d.Name == name {
			return d, nil
		}
		if !d.Hidden {
			names = append(names, d.Name)
		}
	}
	return Description{}, &UnknownError{"workload", name, names}
}
