// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// maxStuck is how many stuck deaths a report names.
const maxStuck = 3

// StuckTexts name the deaths of a trial that were pending for long, and count those
// that it doesn't name.
func StuckTexts(t *results.Trial) []string {
	var texts []string
	for i := range t.Stuck {
		if len(texts) == maxStuck {
			break
		}
		texts = append(texts, stuckText(&t.Stuck[i]))
	}
	if more := uint64(len(t.Stuck)-len(texts)) + t.MoreStuck; more > 0 {
		texts = append(texts, fmt.Sprintf("%s (run.json has the first %d)", Plural(more, "more map"), results.MaxStuck))
	}
	return texts
}

func stuckText(s *results.Stuck) string {
	text := fmt.Sprintf("map %d %s", s.MapID, safetext.Name(s.MapName))
	if s.OuterID != 0 {
		text += fmt.Sprintf(" of outer map %d %s", s.OuterID, safetext.Name(s.OuterName))
	}
	if text += " was still in " + safetext.Name(s.Phase) + " " + NoBreak(FormatDuration(float64(s.SeenNS-s.PutNS))) + " after its last put"; s.FreedNS != 0 {
		text += ", and was freed after " + NoBreak(FormatDuration(float64(s.FreedNS-s.PutNS)))
	} else {
		text += ", and at the end of the trial"
	}
	for _, p := range s.PinnedBy {
		text += "; sleepable program " + safetext.Name(p) + " uses its outer map"
	}
	if s.Worker != "" {
		text += "; freed by " + safetext.Text(s.Worker)
	}
	if s.GracePeriod != "" {
		text += "; " + safetext.Text(s.GracePeriod)
	}
	return text
}
