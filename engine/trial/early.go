// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"github.com/mapprof/mapprof/collect/kallsyms"
	"github.com/mapprof/mapprof/probes"
)

// early is what a trial reads in the background before it watches: nothing of it is under
// way any more when the workload runs. A recording reads one after the other, since that would be
// in memory at once; its early is nil.
type early struct {
	prepared *probes.Prepared
	symbols  *kallsyms.Reading
}

func begin() *early { return &early{probes.Prepare(), kallsyms.Begin()} }

func (e *early) probes() *probes.Prepared {
	if e == nil {
		return nil
	}
	return e.prepared
}

func (e *early) readSymbols() *kallsyms.Reading {
	if e == nil {
		return kallsyms.Begin()
	}
	return e.symbols
}

// close waits for its end.
func (e *early) close() {
	if e != nil {
		e.prepared.Wait()
		e.symbols.Close()
	}
}
