// SPDX-License-Identifier: Apache-2.0

package report

import (
	"regexp"

	"github.com/mapprof/mapprof/analyze"
)

var kernelVersion = regexp.MustCompile(`^\d+(\.\d+)*(-rc\d+)?(-\d+)?`)

// shortKernels maps releases to their versions ("6.12.117" of
// "6.12.117+deb12-cloud-amd64") while these tell them apart.
func shortKernels(entries []*entry) map[string]string {
	short, taken := map[string]string{}, map[string]bool{}
	for _, e := range entries {
		k := e.s.KernelName()
		if _, ok := short[k]; ok {
			continue
		}
		v := kernelVersion.FindString(analyze.SafeName(k))
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
