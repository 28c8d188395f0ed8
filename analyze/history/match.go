// SPDX-License-Identifier: Apache-2.0

package history

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

var kernelSeries = regexp.MustCompile(`^\d+\.\d+`)

// keysOf says for each scenario of a run which one of the history it is. A
// kernel isn't part of it, as it is what changes in a history, unless the run had
// several: then its series is, and its place among those of one series. alike is how
// many scenarios of the run differ in nothing but that.
func keysOf(run *results.Run) (keys []string, alike []int) {
	count, seen := map[string]int{}, map[string]int{}
	plain := make([]string, len(run.Scenarios))
	for i := range run.Scenarios {
		plain[i] = plainKey(run, &run.Scenarios[i])
		count[plain[i]]++
	}
	keys, alike = make([]string, len(plain)), make([]int, len(plain))
	for i, key := range plain {
		if alike[i] = count[key]; alike[i] > 1 {
			key += "\x00" + seriesOf(run.Scenarios[i].Kernel)
		}
		if seen[key]++; seen[key] > 1 {
			key += fmt.Sprintf("\x00#%d", seen[key])
		}
		keys[i] = key
	}
	return keys, alike
}

func seriesOf(kernel string) string {
	if s := kernelSeries.FindString(kernel); s != "" {
		return s
	}
	return kernel
}

// plainKey is equal for scenarios that measure the same thing by the same means.
// A parameter that is empty is the same as one that isn't there.
func plainKey(run *results.Run, s *results.Scenario) string {
	t := &run.Targets[s.TargetIx]
	parts := []string{s.Workload, s.Strategy.Requested, s.Loop, t.Kind, t.Architecture(), t.Accel, t.Clock, fmt.Sprint(t.CPUs), fmt.Sprint(t.MemoryBytes)}
	for _, name := range slices.Sorted(maps.Keys(s.Params)) {
		if v := s.Params[name]; v != "" {
			parts = append(parts, name+"="+v)
		}
	}
	return strings.Join(parts, "\x00")
}

// nameOf names a scenario for a person. Scenarios whose names come out equal
// differ in their parameters or in their target's size. alike is keysOf's.
func nameOf(run *results.Run, s *results.Scenario, alike int) string {
	t := &run.Targets[s.TargetIx]
	name := s.Workload
	if s.Strategy.Requested != "" {
		name += " " + s.Strategy.Requested
	}
	if alike > 1 {
		name += " " + seriesOf(s.Kernel)
	}
	name += " · " + t.Kind
	if t.Accel != "" && t.Accel != "none" {
		name += " (" + t.Accel + ")"
	}
	return safetext.Name(fmt.Sprintf("%s · %s clock · %d CPU · %d MiB", name, t.Clock, t.CPUs, t.MemoryBytes>>20))
}

// distinguish adds to equal names the parameters in which they differ.
func distinguish(scenarios []Scenario) {
	byName := map[string][]int{}
	for i, sc := range scenarios {
		byName[sc.Name] = append(byName[sc.Name], i)
	}
	for _, alike := range byName {
		names := map[string]bool{}
		for _, i := range alike {
			for name := range scenarios[i].Params {
				names[name] = true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			first := scenarios[alike[0]].Params[name]
			if !slices.ContainsFunc(alike, func(i int) bool { return scenarios[i].Params[name] != first }) {
				continue
			}
			for _, i := range alike {
				scenarios[i].Name = safetext.Name(scenarios[i].Name + " · " + name + "=" + scenarios[i].Params[name])
			}
		}
	}
}

// fact is one thing of a run's surroundings that may be to blame.
type fact struct{ name, value string }

// factsOf lists a run's surroundings, the kernel first.
func factsOf(run *results.Run) []fact {
	var facts []fact
	add := func(name string, value func(*results.Target) string) {
		var values []string
		for i := range run.Targets {
			if v := value(&run.Targets[i]); !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
		facts = append(facts, fact{name, strings.Join(values, ", ")})
	}
	add("kernel", func(t *results.Target) string { return t.Kernel.Release })
	add("build", func(t *results.Target) string { return t.Kernel.Build })
	add("command line", func(t *results.Target) string { return t.Kernel.Cmdline })
	add("QEMU", func(t *results.Target) string { return t.QEMU })
	h := run.Host
	return append(facts, fact{"mapprof", run.Tool.Version},
		fact{"host", fmt.Sprintf("%s/%s %s, %d CPUs", h.OS, h.Arch, h.Kernel, h.CPUs)})
}

// changes lists what of two runs' surroundings differs.
func changes(before, after []fact) []string {
	var out []string
	for i, f := range after {
		if b := before[i].value; b != f.value {
			out = append(out, fmt.Sprintf("%s %s → %s", f.name, orNone(b), orNone(f.value)))
		}
	}
	return out
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return safetext.Name(s)
}
