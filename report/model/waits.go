// SPDX-License-Identifier: Apache-2.0

package model

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// waitsUnit is the unit of metrics that count waits for grace periods in one call, and
// waitsSuffix ends their names.
const (
	waitsUnit   = "waits/op"
	waitsSuffix = ".waits"
)

// BatchNote says of update waits how often an operation waits that replaces several maps at once; empty:
// it replaces one, or none waits.
func BatchNote(s *results.Scenario) string {
	ops := uint64(0)
	for _, t := range s.Trials {
		ops += t.Ops
	}
	batch, waits := s.Params["batch"], s.Phases[results.PhaseUpdateWait].N
	if ops == 0 || waits == 0 || batch == "" || batch == "1" {
		return ""
	}
	return " (" + times(float64(waits)/float64(ops)) + " an operation)"
}

// CallWaits says in one sentence which calls wait for grace periods, and how often, those
// that wait most first; empty: that was not measured.
func CallWaits(s *results.Scenario) string {
	var waiting []string
	counted := false
	names := slices.SortedFunc(maps.Keys(s.Metrics), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.Metrics[b].P50, s.Metrics[a].P50), strings.Compare(a, b))
	})
	for _, name := range names {
		m := s.Metrics[name]
		call, ok := strings.CutSuffix(name, waitsSuffix)
		if !ok || m.Unit != waitsUnit || m.N == 0 {
			continue
		}
		counted = true
		if m.P50 > 0 {
			_, call, _ = strings.Cut(call, ".")
			waiting = append(waiting, NoBreak(safetext.Name(call)+" "+times(m.P50)))
		}
	}
	switch {
	case !counted:
		return ""
	case len(waiting) == 0:
		return "no call waits for a grace period"
	}
	return "waits for a grace period in one call (p50): " + strings.Join(waiting, ", ") + "; others have none"
}

// times is a number of times, which is mostly whole.
func times(n float64) string { return fmt.Sprint(math.Round(n*100) / 100) }
