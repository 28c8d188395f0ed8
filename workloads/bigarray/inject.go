// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bigarray

import (
	"fmt"

	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// wrappedReads reads what a kernel would that has the offset of an element in
// too few bits: --inject-wrap.
type wrappedReads struct {
	mapops.Accessor
	stride, wrapAt uint64
}

func (w *wrappedReads) Read(index uint32) (first, last uint64, err error) {
	return w.Accessor.Read(uint32(uint64(index) * w.stride % w.wrapAt / w.stride))
}

func (b *Workload) checkInjection() error {
	if b.InjectWrap == "" {
		return nil
	}
	var size flagvalue.Size
	if err := size.Set(b.InjectWrap); err != nil {
		return fmt.Errorf("--inject-wrap: %w", err)
	}
	if uint64(size) < 2*b.stride() || size >= b.Size {
		return fmt.Errorf("--inject-wrap %s must be from two elements to less than --size", &size)
	}
	return nil
}

// wrapAt is the size at which a truncated offset wraps around to 0.
func (b *Workload) wrapAt() uint64 {
	var size flagvalue.Size
	if b.InjectWrap == "" || size.Set(b.InjectWrap) != nil {
		return mapops.OffsetWrap
	}
	return uint64(size)
}
