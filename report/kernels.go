// SPDX-License-Identifier: Apache-2.0

package report

import (
	"regexp"

	"github.com/mapprof/mapprof/analyze"
)

var versionPattern = regexp.MustCompile(`^\d+(\.\d+)*(-rc\d+)?(-\d+)?`)

// kernelVersion is the version in a release; empty: there is none.
func kernelVersion(release string) string {
	return versionPattern.FindString(analyze.SafeName(release))
}

// shortKernels maps releases to their versions ("6.12.117" of
// "6.12.117+deb12-cloud-amd64") while these tell them apart.
func shortKernels(entries []*entry) map[string]string {
	short, taken := map[string]string{}, map[string]bool{}
	for _, e := range entries {
		k := e.s.KernelName()
		if _, ok := short[k]; ok {
			continue
		}
		v := kernelVersion(k)
		if v == "" || taken[v] {
			// One collision makes all of them long.
			for _, e := range entries {
				short[e.s.KernelName()] = analyze.SafeName(e.s.KernelName())
			}
			return short
		}
		short[k], taken[v] = v, true
	}
	return short
}
