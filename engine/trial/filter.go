// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/results/inventory"
	"github.com/mapprof/mapprof/workloads"
)

// wants tells whether a filter wants a death. inTree: it is of the process that the
// filter names.
func wants(f *workloads.Filter, d *results.Death, inTree bool) bool {
	return (f.PID == 0 || inTree) &&
		fits(f.MapNames, d.MapName) &&
		(len(f.MapTypes) == 0 || slices.Contains(f.MapTypes, d.MapType)) &&
		(fits(f.Comms, d.Comm) || fitsAny(f.Comms, d.Owner.Creator, d.Owner.CreatorExe)) &&
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

// fitsAny tells whether one of the names that are known fits.
func fitsAny(globs []string, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return name != "" && fits(globs, name) })
}

// within tells whether a path is a directory, or below it.
func within(dir, name string) bool {
	dir = "/" + strings.Trim(dir, "/")
	return dir == "/" || name == dir || strings.HasPrefix(name, dir+"/")
}

// liveFilter wants a live map where one of those who hold it, or its creator, fits.
func liveFilter(f *workloads.Filter) func(*collect.Candidate) bool {
	return func(c *collect.Candidate) bool {
		holds := func(fits func(*inventory.Holder) bool) bool {
			return slices.ContainsFunc(c.Holders, func(h inventory.Holder) bool { return fits(&h) })
		}
		return fits(f.MapNames, c.Name) &&
			(len(f.MapTypes) == 0 || slices.Contains(f.MapTypes, c.Type)) &&
			(len(f.Comms) == 0 || fitsAny(f.Comms, c.Creator, c.CreatorExe) ||
				holds(func(h *inventory.Holder) bool { return h.PID != 0 && fits(f.Comms, h.Comm) })) &&
			(len(f.OuterNames) == 0 || holds(func(h *inventory.Holder) bool {
				return h.Kind == inventory.Outer && fits(f.OuterNames, h.Name)
			})) &&
			(len(f.Cgroups) == 0 || inCgroup(f.Cgroups, c.Cgroup) ||
				holds(func(h *inventory.Holder) bool { return h.PID != 0 && inCgroup(f.Cgroups, cgroupOf(h.PID)) })) &&
			(f.PID == 0 || c.InTree || holds(func(h *inventory.Holder) bool { return descends(h.PID, f.PID) }))
	}
}

func inCgroup(cgroups []string, name string) bool {
	return name != "" && slices.ContainsFunc(cgroups, func(c string) bool { return within(c, name) })
}

// cgroupOf is the path of a process's cgroup below the root; empty: it has gone.
func cgroupOf(pid uint32) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(line, "0::"); ok {
			return strings.TrimSuffix(name, "\n")
		}
	}
	return ""
}

// maxParents bounds a chain of parents, which changes while it is followed.
const maxParents = 64

// descends tells whether a process is that of root, or descends from it.
func descends(pid, root uint32) bool {
	for range maxParents {
		if pid == root || pid == 0 {
			return pid == root
		}
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return false
		}
		// "pid (comm) state parent": a comm may have parentheses.
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
		if len(fields) < 2 {
			return false
		}
		parent, err := strconv.ParseUint(fields[1], 10, 32)
		if err != nil {
			return false
		}
		pid = uint32(parent)
	}
	return false
}
