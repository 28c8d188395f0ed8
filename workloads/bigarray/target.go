// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bigarray

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// CheckTarget implements Demanding. bpf_map_charge_init() of 5.10 took no more than
// 32 bits, less a page (gone with 80ee81e0403c, 5.11).
func (b *Workload) CheckTarget(_ string, t workloads.Target) error {
	const most = 4<<30 - 4096
	if uint64(b.entries())*b.stride() > most-4096 && t.Before(5, 11) {
		return fmt.Errorf("--size %s: up to 5.10 no map may have 4 GiB or more: there is no addressing past it to be wrong (use a --size below 4GiB)", &b.Size)
	}
	return mapops.CheckValueOn(t, "value-size", ebpf.Array, uint64(b.ValueSize))
}
