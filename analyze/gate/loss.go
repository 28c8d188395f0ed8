// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// What a kind of loss is missing from. A kind that isn't listed is taken for
// deaths.
var (
	waitLosses  = []string{"wait_ringbuf_full", "waits_full", "unmatched_wait"}
	stageLosses = []string{"unmatched_callback", "callback_unseen"}
	// Nothing that is compared lacks these: attempts of which a death has
	// several, upper bounds, stacks, the system's grace periods.
	harmlessLosses = []string{"recursion_misses", "inflight_full", "inflight_busy", "gp_ringbuf_full", "stack_collision", "stack_error", "stack_guess"}
)

const lookupLoss = "lookup_" // begins the kinds of the probes on lookups

// share is how many of something are missing.
type share struct {
	what       string
	lost, seen uint64
	kinds      map[string]uint64
}

func (s *share) add(kind string, n uint64) {
	s.lost += n
	s.kinds[kind] += n
}

// of is the fraction that is missing of all there were.
func (s *share) of() float64 { return float64(s.lost) / float64(max(1, s.lost+s.seen)) }

// shares says what a scenario lacks of everything that its figures are of.
func shares(s *results.Scenario) []*share {
	deaths, waits := &share{what: "deaths"}, &share{what: "update waits"}
	stages, lookups := &share{what: "grace periods of deaths"}, &share{what: "timed lookups"}
	all := []*share{deaths, waits, stages, lookups}
	for _, sh := range all {
		sh.kinds = map[string]uint64{}
	}
	for _, t := range s.Trials {
		var unlisted uint64
		for kind, n := range t.Loss {
			switch {
			case n == 0 || slices.Contains(harmlessLosses, kind):
			case slices.Contains(waitLosses, kind):
				waits.add(kind, n)
			case slices.Contains(stageLosses, kind):
				stages.add(kind, n)
			case strings.HasPrefix(kind, lookupLoss):
				lookups.add(kind, n)
			default:
				unlisted += n
				deaths.kinds[kind] += n
			}
		}
		lost := max(t.Lost, unlisted)
		deaths.lost += lost
		deaths.seen += t.Puts - min(lost, t.Puts)
		stages.seen += t.Puts
		waits.seen += t.Phases[results.PhaseUpdateWait].N
		for name, m := range t.Metrics {
			if strings.HasSuffix(name, ".function") {
				lookups.seen += m.N
			}
		}
	}
	stages.seen -= min(stages.lost, stages.seen)
	return all
}

// tooMuchLost says what is missing by more than the limit, a line each.
func tooMuchLost(s *results.Scenario, limit Ratio) []string {
	var out []string
	for _, sh := range shares(s) {
		if sh.lost > 0 && sh.of() > float64(limit) {
			out = append(out, fmt.Sprintf("lost %d of %d %s (%s), above the limit of %.3g %%",
				sh.lost, sh.lost+sh.seen, sh.what, safetext.Text(results.LossText(sh.kinds)), 100*float64(limit)))
		}
	}
	return out
}
