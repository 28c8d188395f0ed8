// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"path"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
)

// wants tells whether a filter wants a death. inTree: it is of the process that the
// filter names.
func wants(f *workloads.Filter, d *results.Death, inTree bool) bool {
	return (f.PID == 0 || inTree) &&
		fits(f.MapNames, d.MapName) &&
		(len(f.MapTypes) == 0 || slices.Contains(f.MapTypes, d.MapType)) &&
		(fits(f.Comms, d.Comm) || d.Owner.Creator != "" && fits(f.Comms, d.Owner.Creator)) &&
		fits(f.OuterNames, d.Owner.OuterName) &&
		(len(f.Cgroups) == 0 || slices.ContainsFunc(f.Cgroups, func(c string) bool { return within(c, d.Owner.Cgroup) }))
}

// fits tells whether a name fits one of the globs, or there is none.
func fits(globs []string, name string) bool {
	return len(globs) == 0 || slices.ContainsFunc(globs, func(glob string) bool {
		// Names of threads have slashes, which part nothing here.
		ok, err := path.Match(strings.ReplaceAll(glob, "/", "\x01"), strings.ReplaceAll(name, "/", "\x01"))
		return ok && err == nil
	})
}

// within tells whether a path is a directory, or below it.
func within(dir, name string) bool {
	dir = "/" + strings.Trim(dir, "/")
	return dir == "/" || name == dir || strings.HasPrefix(name, dir+"/")
}
