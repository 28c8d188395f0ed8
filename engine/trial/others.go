// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"context"
	"errors"
	"time"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/workloads"
)

// Others watches the maps of other programs on this kernel, with no workload: a sink
// gets their deaths until Finish or Close. Its methods are for one goroutine, but for
// Ask.
type Others struct {
	Warnings []string

	probes    *probes.Probes
	foreign   foreign
	collector *collect.Collector
}

// WatchOthers attaches, and begins to watch. The caller closes it. When ctx is done
// before all is attached it fails with probes.ErrEnded.
func WatchOthers(ctx context.Context, filter workloads.Filter, options Options, s collect.Sink) (_ *Others, err error) {
	cfg := probes.Config{RingBytes: options.RingBytes, InFlight: options.InFlight, Mechanisms: options.Mechanisms}
	o := &Others{}
	if o.foreign, o.Warnings, err = watchForeign(ctx, filter, options.OwnedMaps, &cfg); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.Close())
		}
	}()
	if o.probes, _, err = probes.Attach(cfg); err != nil {
		return nil, err
	}
	if err = o.foreign.exclude(o.probes); err != nil {
		return nil, err
	}
	if o.collector, err = collect.Start(o.probes, s, o.foreign.owners); err != nil {
		return nil, err
	}
	return o, o.probes.Start()
}

// Ask asks for a sweep soon. Its channel is closed when none will come.
func (o *Others) Ask() <-chan struct{} {
	o.collector.Ask()
	return o.collector.Ended()
}

// Finish watches no new death, waits for those under way as long as drain, and makes
// the last sweep.
func (o *Others) Finish(ctx context.Context, drain time.Duration) error {
	if err := o.probes.Stop(); err != nil {
		return err
	}
	if err := o.collector.Drain(ctx, drain); err != nil {
		return err
	}
	_, err := o.collector.Finish()
	return err
}

// Close detaches everything.
func (o *Others) Close() error {
	var errs []error
	if o.collector != nil {
		errs = append(errs, o.collector.Close())
	}
	if o.probes != nil {
		errs = append(errs, o.probes.Close())
	}
	return errors.Join(append(errs, o.foreign.close())...)
}
