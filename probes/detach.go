// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf/link"
)

// Detach ends watching one function, as happens to a tracer whose links are
// taken away from it. What follows is missed, and must show in the counters:
// that is what it is for.
func (p *Probes) Detach(function string) error {
	var errs []error
	found := false
	for _, a := range p.attachments {
		if a.Function != function || a.Mechanism == "" {
			continue
		}
		found = true
		for _, l := range p.byFunction[function] {
			errs = append(errs, l.Close())
		}
		p.byFunction[function] = nil
	}
	if !found {
		return fmt.Errorf("detach %s: it is not attached", function)
	}
	return errors.Join(errs...)
}

// keep notes the links of a hook.
func (p *Probes) keep(h *hook, links []link.Link) {
	p.links = append(p.links, links...)
	p.byFunction[h.function] = append(p.byFunction[h.function], links...)
}

// Attached is how many programs are attached, and to how many functions.
func (p *Probes) Attached() (programs, functions int) {
	for _, links := range p.byFunction {
		if len(links) > 0 {
			programs, functions = programs+len(links), functions+1
		}
	}
	return programs, functions
}
