// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"

	"github.com/cilium/ebpf"
)

// pace creates maps and drops each at once, so many a second. Where it can't keep up
// it takes longer for all of them.
func pace(count, perSecond int) error {
	began := time.Now()
	for i := range count {
		if ahead := time.Duration(i)*time.Second/time.Duration(perSecond) - time.Since(began); ahead > 0 {
			time.Sleep(ahead)
		}
		m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "paced", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
		if err != nil {
			return err
		}
		if err := m.Close(); err != nil {
			return err
		}
	}
	took := time.Since(began)
	fmt.Printf("agent: %d maps in %v, %.0f a second\n", count, took.Round(time.Second), float64(count)/took.Seconds())
	return nil
}
