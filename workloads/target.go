// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"fmt"
	"strings"
)

// Target is what is known of a target before anything is done on it.
type Target struct {
	Release string // of its kernel
	CPUs    int    // 0: not known
}

// Before tells whether the kernel is older than a release of Linux, and so lacks
// what came with that. A release that isn't understood is not, and neither is that of
// a vendor who puts new things into old kernels: there the kernel itself must say.
func (t Target) Before(major, minor int) bool {
	var ma, mi int
	if n, err := fmt.Sscanf(t.Release, "%d.%d", &ma, &mi); n != 2 || err != nil || strings.Contains(t.Release, ".el") {
		return false
	}
	return ma < major || ma == major && mi < minor
}
