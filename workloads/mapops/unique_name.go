// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"fmt"
	"os"
	"sync/atomic"
)

var instances atomic.Uint32

// UniqueName makes a map name (at most 15 bytes) that no other instance of
// this process or another has, so that what an earlier one left in limbo isn't
// taken for its own. Of base it takes eight bytes. Safe for concurrent use.
func UniqueName(base string) string {
	return fmt.Sprintf("%.8s_%04x%02x", base, os.Getpid()&0xffff, instances.Add(1)&0xff)
}
