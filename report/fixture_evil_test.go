// SPDX-License-Identifier: Apache-2.0

package report

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// evilName is what must never reach a page as it is.
const evilName = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>`

// evil is a run in which every name that comes from a stranger would be a script.
func evil(t testing.TB, dir string) *results.Run {
	// Tags have no spaces.
	return fixture{kernels: []string{strings.ReplaceAll(evilName, " ", "/")}, strategies: twoStrategies, trials: 2, deaths: 50, mapName: evilName, comm: evilName, function: evilName,
		edit: func(r *results.Run) {
			r.Command = []string{"mapprof", evilName}
			r.Tool.Version, r.Host.Kernel = evilName, evilName
			r.Partial, r.PartialReason = true, evilName
			r.Warnings = append(r.Warnings, evilName)
			for i := range r.Targets {
				k := &r.Targets[i].Kernel
				k.Release, k.Build, k.Cmdline, k.Requested, k.SHA256 = evilName, evilName, evilName, evilName, evilName
				k.Knobs = map[string]string{evilName: evilName}
				r.Targets[i].QEMU, r.Targets[i].Kind = evilName, evilName
				r.Targets[i].Probes = []results.Probe{{Name: evilName, Function: evilName, Mechanism: evilName, Reason: evilName}}
			}
			for i := range r.Scenarios {
				s := &r.Scenarios[i]
				s.Workload, s.Kernel = evilName, evilName
				s.Params = map[string]string{"inner": evilName, "outer": evilName, evilName: evilName}
				s.Warnings = []string{evilName}
				s.Loss = map[string]uint64{evilName: 3}
				s.Metrics = map[string]results.Metric{evilName: {N: 3, Unit: evilName, P50: 1, P90: 2, P99: 3, Max: 4}}
				s.Phases[evilName] = results.Stats{N: 1}
				for j := range s.Trials {
					s.Trials[j].Excluded = map[string]uint64{evilName: 1}
					s.Trials[j].Metrics = s.Metrics
				}
			}
		}}.write(t, filepath.Clean(dir))
}
