// SPDX-License-Identifier: Apache-2.0

package export

import "github.com/mapprof/mapprof/results"

// firstGPTrack begins the tracks of the system's grace periods: far above the
// lanes, whose numbers count deaths at one time. They are sorted before them.
const firstGPTrack = 1_000_000_000

type gpArg struct {
	DurationNS int64 `json:"duration_ns"`
}

// gracePeriods draws a track per kind that was seen. A kind has the name of the
// strategy that waits for it. One that began before the
// trial's first put is cut there; its length stands in the arguments.
func (t *tracer) gracePeriods(trial *results.Trial, tr *traceTrial) {
	strategies := results.Strategies()
	for i, s := range strategies {
		track := firstGPTrack + i
		last, named := tr.first, false
		for _, g := range trial.GracePeriods {
			start := max(g.StartNS, last)
			if g.Kind != s.Name || g.EndNS <= start {
				continue
			}
			if !named {
				named = true
				t.meta("thread_name", tr.pid, track, nameArg{"grace periods: " + s.Name})
				t.meta("thread_sort_index", tr.pid, track, sortArg{i - len(strategies)})
			}
			t.event(traceEvent{Name: "grace period", Cat: "gp", Ph: "X", Ts: micros(start - tr.first), Dur: micros(g.EndNS - start),
				Pid: tr.pid, Tid: track, Args: gpArg{g.EndNS - g.StartNS}})
			last = g.EndNS
		}
	}
}
