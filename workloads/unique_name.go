// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"fmt"
	"os"
	"sync/atomic"
)

var instances atomic.Uint32

// uniqueName makes a map name (at most 15 bytes) that no other instance of
// this process or another has, so that what an earlier one left in limbo isn't
// taken for its own. Of base it takes eight bytes. Safe for concurrent use.
func uniqueName(base string) string {
	return fmt.Sprintf("%.8s_%04x%02x", base, os.Getpid()&0xffff, instances.Add(1)&0xff)
}
