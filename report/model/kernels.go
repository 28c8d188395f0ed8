// SPDX-License-Identifier: Apache-2.0

package model

import (
	"regexp"

	"github.com/mapprof/mapprof/internal/safetext"
)

var versionPattern = regexp.MustCompile(`^\d+(\.\d+)*(-rc\d+)?(-\d+)?`)

// KernelVersion is the version in a release; empty: there is none.
func KernelVersion(release string) string {
	return versionPattern.FindString(safetext.Name(release))
}

// ShortKernels maps releases to their versions ("6.12.117" of
// "6.12.117+deb12-cloud-amd64") while these tell them apart.
func ShortKernels(entries []*Entry) map[string]string {
	short, taken := map[string]string{}, map[string]bool{}
	for _, e := range entries {
		k := e.Scenario.KernelName()
		if _, ok := short[k]; ok {
			continue
		}
		v := KernelVersion(k)
		if v == "" || taken[v] {
			// One collision makes all of them long.
			for _, e := range entries {
				short[e.Scenario.KernelName()] = safetext.Name(e.Scenario.KernelName())
			}
			return short
		}
		short[k], taken[v] = v, true
	}
	return short
}
