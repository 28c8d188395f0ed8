// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"errors"

	"github.com/cilium/ebpf"
)

// program is one that is loaded, and not attached yet.
type program struct {
	name string
	*ebpf.Program
}

// loadedHook is a hook's programs by one mechanism, all or none.
type loadedHook struct {
	programs []program
	err      error
}

func (l *loadedHook) close() error {
	var errs []error
	for _, p := range l.programs {
		errs = append(errs, p.Close())
	}
	l.programs = nil
	return errors.Join(errs...)
}

// loadAhead loads the programs of hooks by one mechanism, in order, while the caller
// attaches those before: the verifier works on one CPU, ftrace changes code on another.
// The caller takes a result for each hook, or calls end.
func (p *Probes) loadAhead(spec *ebpf.CollectionSpec, hooks []hook, mechanism string) *ahead {
	a := &ahead{loaded: make(chan loadedHook, len(hooks)), stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(a.done)
		defer close(a.loaded)
		for i := range hooks {
			select {
			case <-a.stop:
				return
			default:
				a.loaded <- p.loadHook(spec, &hooks[i], mechanism)
			}
		}
	}()
	return a
}

type ahead struct {
	loaded chan loadedHook
	stop   chan struct{}
	done   chan struct{} // closed when all are loaded
}

// end ends the loading, and lets go of what nobody took.
func (a *ahead) end() error {
	close(a.stop)
	var errs []error
	for l := range a.loaded {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

// loadHook loads the programs of a hook by one mechanism in the order in which they are
// attached, with the copies.
func (p *Probes) loadHook(spec *ebpf.CollectionSpec, h *hook, mechanism string) (l loadedHook) {
	copies := 1
	if mechanism == MechanismFentry {
		copies = max(h.copies, 1)
	}
	for _, name := range h.programs(mechanism) {
		for range copies {
			prog, err := p.load(spec, name, h.function, mechanism)
			if err != nil {
				return loadedHook{err: errors.Join(err, l.close())}
			}
			l.programs = append(l.programs, program{name, prog})
		}
	}
	return l
}

// load loads one program.
func (p *Probes) load(spec *ebpf.CollectionSpec, name, function, mechanism string) (*ebpf.Program, error) {
	one := &ebpf.CollectionSpec{
		Maps:      spec.Maps,
		Programs:  map[string]*ebpf.ProgramSpec{name: spec.Programs[name]},
		Types:     spec.Types,
		ByteOrder: spec.ByteOrder,
	}
	if mechanism == MechanismFentry {
		if err := p.hasBTF(function); err != nil {
			return nil, err
		}
	}
	p.loading.Lock()
	defer p.loading.Unlock()
	coll, err := ebpf.NewCollectionWithOptions(one, ebpf.CollectionOptions{MapReplacements: p.coll.Maps, Cache: p.types})
	if err != nil {
		return nil, shorten(err)
	}
	defer coll.Close()
	return coll.DetachProgram(name), nil
}
