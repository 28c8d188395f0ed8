// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"github.com/mapprof/mapprof/workloads/hold"
)

// blockFree drops a map whose free waits for a grace period of RCU (dev_map_free), which
// a reader holds up for so long.
func blockFree(d time.Duration) (err error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return err
	}
	reader, err := hold.New("rcu", []time.Duration{d})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	stop, err := reader.Start()
	if err != nil {
		return err
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "blocked", Type: ebpf.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return errors.Join(err, stop())
	}
	fmt.Println(ready)
	return errors.Join(reader.Enter(), m.Close(), reader.Leave(), stop())
}
