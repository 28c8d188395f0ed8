// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/collect/kallsyms"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/workloads"
)

// PageTime implements workloads.Tracer. What can't be timed is said in the
// result.
func (t *tracer) PageTime(functions []workloads.PageFunction, try func() (uint64, error), f func(workloads.Watch) (uint64, error)) (out workloads.PageTime, err error) {
	p, function, why, err := pageProbe(functions, try)
	if err != nil {
		return out, err
	}
	if p == nil {
		return samplePages(functions, why, f)
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	before, err := p.Counts()
	if err != nil {
		return out, err
	}
	want, err := f(p.Watch)
	if err != nil {
		return out, err
	}
	after, err := p.Counts()
	if err != nil {
		return out, err
	}
	calls, pages := after.Count-before.Count, after.Pages-before.Pages
	// A call is missed where a thread was preempted inside the program.
	if float64(pages) < float64(want)*0.99 {
		return workloads.PageTime{Why: fmt.Sprintf("%s was seen to prepare %d of %d pages", function, pages, want)}, nil
	}
	return workloads.PageTime{NS: float64(after.SumNS - before.SumNS), How: fmt.Sprintf(
		"all %d calls of %s by this thread meanwhile, fentry to fexit, for %d pages; it clears them and does little else", calls, function, pages)}, nil
}

// pageProbe attaches to the first of some functions that is seen to prepare
// the pages of a try, or says why there is none.
func pageProbe(functions []workloads.PageFunction, try func() (uint64, error)) (_ *probes.LookupProbe, function, why string, err error) {
	var absent, reasons []string
	for _, f := range functions {
		if f.Sampled {
			continue
		}
		pages := probes.PagesByCount
		if f.ByOrder {
			pages = probes.PagesByOrder
		}
		p, err := probes.AttachLookup(probes.LookupConfig{Function: f.Name, Pages: pages})
		var unsupported *probes.UnsupportedError
		if errors.As(err, &unsupported) {
			absent = append(absent, f.Name)
			continue
		}
		if err != nil {
			return nil, "", "", err
		}
		var want uint64
		if err := p.Watch(func() (err error) { want, err = try(); return err }); err != nil {
			return nil, "", "", errors.Join(err, p.Close())
		}
		counts, err := p.Counts()
		if err != nil {
			return nil, "", "", errors.Join(err, p.Close())
		}
		if counts.Pages >= want {
			return p, f.Name, "", nil
		}
		reasons = append(reasons, fmt.Sprintf("%s is seen for %d of %d pages", f.Name, counts.Pages, want))
		if err := p.Close(); err != nil {
			return nil, "", "", err
		}
	}
	if len(absent) > 0 {
		reasons = append(reasons, "no probe attaches to "+strings.Join(absent, ", "))
	}
	return nil, "", strings.Join(reasons, "; "), nil
}

// minSamples are enough to tell shares of a tenth apart.
const minSamples = 100

// samplePages samples where the thread is while f runs.
func samplePages(functions []workloads.PageFunction, why string, f func(workloads.Watch) (uint64, error)) (out workloads.PageTime, err error) {
	s, err := probes.NewSampler()
	var unsupported *probes.UnsupportedError
	if errors.As(err, &unsupported) {
		_, ferr := f(func(g func() error) error { return g() })
		return workloads.PageTime{Why: why + "; " + err.Error()}, ferr
	}
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if _, err := f(s.Watch); err != nil {
		return out, err
	}
	byAddress, err := s.Samples()
	if err != nil {
		return out, err
	}
	frames, err := kallsyms.Kernel(slices.Collect(maps.Keys(byAddress)))
	if err != nil {
		return out, fmt.Errorf("name samples: %w", err)
	}
	samples := map[string]uint64{}
	for address, n := range byAddress {
		samples[frames[address].Function] += n
	}
	return pageShare(functions, samples, why), nil
}

// pageShare makes a share of samples by function.
func pageShare(functions []workloads.PageFunction, samples map[string]uint64, why string) workloads.PageTime {
	var all, clearing uint64
	var names []string
	most := ""
	for _, name := range slices.Sorted(maps.Keys(samples)) {
		n := samples[name]
		all += n
		if most == "" || n > samples[most] {
			most = name
		}
		if slices.ContainsFunc(functions, func(f workloads.PageFunction) bool { return f.Sampled && f.Name == name }) {
			clearing += n
			names = append(names, name)
		}
	}
	switch {
	case all < minSamples:
		why = fmt.Sprintf("%s; and %d samples of where it was are too few (give it a larger --size)", why, all)
	case clearing == 0 || !slices.Contains(names, most) && float64(samples[most]) > 0.2*float64(all):
		// Where interrupts are off while pages are cleared, the samples
		// are of where they are on again.
		why = fmt.Sprintf("%s; and of %d samples %d are in %s, where interrupts are on again after clearing", why, all, samples[most], most)
	default:
		return workloads.PageTime{Share: float64(clearing) / float64(all), How: fmt.Sprintf(
			"its share of %d samples of where this thread was, at up to %d a second: %d were in %s (%s)", all, probes.SampleHz, clearing, strings.Join(names, ", "), why)}
	}
	return workloads.PageTime{Why: why}
}
