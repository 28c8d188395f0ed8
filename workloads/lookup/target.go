// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lookup

import (
	"errors"
	"slices"

	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// CheckTarget implements Demanding.
func (l *Workload) CheckTarget(_ string, t workloads.Target) error {
	switch {
	case l.Unprivileged && t.Before(5, 8):
		return errors.New("--unprivileged: it has no CAP_BPF (5.8, 2c78ee898d8f; leave it out)")
	case slices.Contains(l.Paths, mapops.PathPerCPUHelper) && t.Before(5, 19):
		return errors.New("--path percpu-helper: it has no bpf_map_lookup_percpu_elem (5.19, 07343110b293; leave the path out)")
	case slices.Contains(l.Paths, mapops.PathBatch) && l.Map == mapops.MapPerCPUArray && t.Before(5, 13):
		return errors.New("--path batch: it has no batches for percpu-array (5.13, f008d732ab18; leave the path out)")
	}
	return mapops.CheckValueOn(t, "value-size", l.elementSpec(1).Type, uint64(l.ValueSize))
}
