// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -output-stem calls -type call calls calls.bpf.c -- -O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu

// CallProbe keeps when a function was called and by which thread, fentry to
// fexit: up to 4096 calls. It is for functions that may sleep and are called
// now and then; a LookupProbe costs a tenth.
type CallProbe struct {
	coll  *ebpf.Collection
	links []link.Link
}

// Call is one call that has ended.
type Call struct {
	TID            int
	BeginNS, EndNS int64 // CLOCK_MONOTONIC
}

// AttachCalls attaches to a function, any of whose calls counts.
func AttachCalls(function string) (*CallProbe, error) {
	if err := mayLoad(function); err != nil {
		return nil, err
	}
	spec, err := loadCalls()
	if err != nil {
		return nil, fmt.Errorf("read embedded BPF programs: %w", err)
	}
	// The exit first: an entry alone would leave begins behind.
	names := []string{callsProgCallExit, callsProgCallEntry}
	for _, name := range names {
		spec.Programs[name].AttachTo = function
	}
	p := &CallProbe{}
	if p.coll, err = ebpf.NewCollection(spec); err != nil {
		return nil, &UnsupportedError{Function: function, Err: shorten(err)}
	}
	for _, name := range names {
		l, err := link.AttachTracing(link.TracingOptions{Program: p.coll.Programs[name]})
		if err != nil {
			return nil, errors.Join(&UnsupportedError{Function: function, Err: shorten(err)}, p.Close())
		}
		p.links = append(p.links, l)
	}
	return p, nil
}

// UnderWay tells whether a call has begun and not ended.
func (p *CallProbe) UnderWay() (bool, error) {
	var frame uint64
	err := p.coll.Maps[callsMapMpfUnderWay].NextKey(nil, &frame)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Calls takes those that have ended, in the order of their ends, and says how
// many more ended.
func (p *CallProbe) Calls() (calls []Call, unseen uint64, err error) {
	ended := p.coll.Maps[callsMapMpfCallsEnded]
	for {
		var c callsCall
		err := ended.LookupAndDelete(nil, &c)
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			break
		}
		if err != nil {
			return nil, 0, fmt.Errorf("read calls: %w", err)
		}
		calls = append(calls, Call{TID: int(c.Tid), BeginNS: int64(c.BeginNs), EndNS: int64(c.EndNs)})
	}
	if err := p.coll.Variables[callsVarCallsUnseen].Get(&unseen); err != nil {
		return nil, 0, fmt.Errorf("read calls: %w", err)
	}
	// The exit counts a call whose entry was missed as unseen. Calls whose
	// exit was missed are added here.
	stats, err := p.coll.Programs[callsProgCallExit].Stats()
	if err != nil {
		return nil, 0, fmt.Errorf("read stats of the calls' probe: %w", err)
	}
	return calls, unseen + stats.RecursionMisses, nil
}

// Close detaches the programs and frees what they kept.
func (p *CallProbe) Close() error {
	var errs []error
	for _, l := range p.links {
		errs = append(errs, l.Close())
	}
	p.coll.Close()
	return errors.Join(errs...)
}
