// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// recordBatch is RECORD_BATCH of lookup.bpf.c.
const recordBatch = 1024

// RecordLookups gives values to the code that counts lookups, by
// BPF_PROG_TEST_RUN, and returns what it made of them: so that its histogram
// can be held against another.
func RecordLookups(values []uint64) (_ LookupCounts, err error) {
	coll, err := loadLookupPrograms(LookupConfig{}, ebpf.CollectionOptions{}, lookupProgRecordBatch)
	if err != nil {
		return LookupCounts{}, shorten(err)
	}
	defer coll.Close()
	prog := coll.Programs[lookupProgRecordBatch]
	for len(values) > 0 {
		var batch [recordBatch]uint64
		n := copy(batch[:], values)
		values = values[n:]
		if err := errors.Join(
			coll.Variables[lookupVarRecordValues].Set(batch),
			coll.Variables[lookupVarRecordN].Set(uint32(n))); err != nil {
			return LookupCounts{}, fmt.Errorf("give values to the program: %w", err)
		}
		if _, err := prog.Run(&ebpf.RunOptions{Data: make([]byte, 64)}); err != nil {
			return LookupCounts{}, fmt.Errorf("run program: %w", err)
		}
	}
	return readLookupCounts(coll.Maps[lookupBSS])
}

// DrawGaps has the gaps between sampled calls drawn in BPF, and the same in Go.
func DrawGaps(n, seed uint64) (inBPF, inGo []uint64, err error) {
	coll, err := loadLookupPrograms(LookupConfig{}, ebpf.CollectionOptions{}, lookupProgDrawBatch)
	if err != nil {
		return nil, nil, shorten(err)
	}
	defer coll.Close()
	g := newGaps(n, seed)
	batch := [recordBatch]uint64{g.random, g.spread}
	values := coll.Variables[lookupVarRecordValues]
	if err := values.Set(batch); err != nil {
		return nil, nil, fmt.Errorf("give the generator's state to the program: %w", err)
	}
	if _, err := coll.Programs[lookupProgDrawBatch].Run(&ebpf.RunOptions{Data: make([]byte, 64)}); err != nil {
		return nil, nil, fmt.Errorf("run program: %w", err)
	}
	if err := values.Get(&batch); err != nil {
		return nil, nil, fmt.Errorf("read gaps: %w", err)
	}
	for range batch {
		inGo = append(inGo, g.draw())
	}
	return batch[:], inGo, nil
}
