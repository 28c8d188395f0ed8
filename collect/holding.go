// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"slices"

	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results/inventory"
)

// HoldersOf tells who holds a map now, and which holders can't be looked for. nil: there
// is no such map. It needs an inventory, and is not for use after Start.
func (o *Owners) HoldersOf(id uint32) (*inventory.Map, []string, error) {
	s, err := o.scan()
	if err != nil {
		return nil, nil, err
	}
	at := slices.IndexFunc(s.maps, func(m probes.MapItem) bool { return m.Id == id })
	if at < 0 {
		return nil, nil, nil
	}
	m := o.liveMap(&s.maps[at], s)
	return &m, s.unread, nil
}
