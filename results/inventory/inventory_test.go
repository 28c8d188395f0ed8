// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"strings"
	"testing"
)

func liveMaps() *Maps {
	return &Maps{
		Held: Held{LiveMaps: 5, LiveBytes: 500, LimboMaps: 1, LimboBytes: 40},
		Top: []Map{
			{ID: 1, Bytes: 300, Holders: []Holder{{Kind: FD, Comm: "agent"}}, References: 1},
			{ID: 2, Bytes: 100, References: 2, Unaccounted: 2},
		},
		Others:  Sum{Maps: 3, Bytes: 100},
		Holders: []HolderSum{{Kind: FD, Name: "agent", Maps: 4, Bytes: 400}, {Kind: None, Maps: 1, Bytes: 100}},
	}
}

// TestLiveCheck: an inventory from a file is bounded and adds up.
func TestLiveCheck(t *testing.T) {
	if err := (&Live{Start: *liveMaps(), End: liveMaps(), Peak: liveMaps().Held}).Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(l *Maps){
		"end.top":                                func(l *Maps) { l.Held.LiveMaps++ },
		"end.holders":                            func(l *Maps) { l.Holders[0].Bytes++ },
		"end.top[1].unaccounted":                 func(l *Maps) { l.Top[1].Unaccounted = 3 },
		"end.top[0].holders":                     func(l *Maps) { l.Top[0].Holders = make([]Holder, MaxHolders+1) },
		"end.held.live_bytes":                    func(l *Maps) { l.Held.LiveBytes, l.Held.LimboBytes = maxBytes, maxBytes },
		"end.top: 257":                           func(l *Maps) { l.Top = make([]Map, MaxMaps+1) },
		"end.holders: 258":                       func(l *Maps) { l.Holders = make([]HolderSum, MaxMaps+2) },
		"end.top: 5 maps of 9223372036854775808": func(l *Maps) { l.Top[0].Bytes, l.Top[1].Bytes, l.Others.Bytes = maxBytes, maxBytes, maxBytes },
	} {
		l := liveMaps()
		spoil(l)
		err := (&Live{Start: *liveMaps(), End: l}).Check()
		if err == nil || !strings.HasPrefix(err.Field+": "+err.What, name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
