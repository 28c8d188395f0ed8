// SPDX-License-Identifier: Apache-2.0

package export

import "github.com/mapprof/mapprof/results"

// Tracks of the system's grace periods: far above the lanes, whose numbers
// count deaths at one time, and sorted before them.
var gpTracks = []struct {
	kind string
	tid  int
}{{"rcu", 1_000_000_001}, {"tasks-trace", 1_000_000_002}}

type gpArg struct {
	DurationNS int64 `json:"duration_ns"`
}

// gracePeriods draws a track per kind that was seen. One that began before the
// trial's first put is cut there; its length stands in the arguments.
func (t *tracer) gracePeriods(trial *results.Trial, tr *traceTrial) {
	for i, track := range gpTracks {
		last, named := tr.first, false
		for _, g := range trial.GracePeriods {
			start := max(g.StartNS, last)
			if g.Kind != track.kind || g.EndNS <= start {
				continue
			}
			if !named {
				named = true
				t.meta("thread_name", tr.pid, track.tid, nameArg{"grace periods: " + track.kind})
				t.meta("thread_sort_index", tr.pid, track.tid, sortArg{i - len(gpTracks)})
			}
			t.event(traceEvent{Name: "grace period", Cat: "gp", Ph: "X", Ts: micros(start - tr.first), Dur: micros(g.EndNS - start),
				Pid: tr.pid, Tid: track.tid, Args: gpArg{g.EndNS - g.StartNS}})
			last = g.EndNS
		}
	}
}
