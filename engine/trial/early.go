// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/probes"
)

// early is what a trial reads in the background before it watches: nothing of it is under
// way any more when the workload runs. A recording, whose early is nil, reads one after
// the other: all that would be in memory at once.
type early struct {
	prepared *probes.Prepared
	symbols  chan *collect.Symbols
}

func begin() *early {
	e := &early{probes.Prepare(), make(chan *collect.Symbols, 1)}
	go func() { e.symbols <- collect.BeginSymbols() }()
	return e
}

func (e *early) probes() *probes.Prepared {
	if e == nil {
		return nil
	}
	return e.prepared
}

// start is collect.Start with what was read.
func (e *early) start(p *probes.Probes, s collect.Sink, owners *collect.Owners) (*collect.Collector, error) {
	if e == nil {
		return collect.Start(p, s, owners)
	}
	symbols := <-e.symbols
	e.symbols <- symbols
	return collect.StartWith(p, s, owners, symbols)
}

// close waits for the end of the reading.
func (e *early) close() error {
	if e == nil || e.symbols == nil {
		return nil
	}
	e.prepared.Wait()
	err := (<-e.symbols).Close()
	e.symbols = nil
	return err
}
