// SPDX-License-Identifier: Apache-2.0

package html

import "github.com/mapprof/mapprof/report/model"

// liveTable is which maps were alive in a recording.
type liveTable struct {
	Name string // what was recorded
	*model.LiveView
}

func liveMapsOf(entries []*model.Entry) []liveTable {
	var out []liveTable
	for _, e := range entries {
		if v := model.LiveOf(e.Scenario); v != nil {
			out = append(out, liveTable{e.Label, v})
		}
	}
	return out
}
