// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"slices"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// TestPhasesNameHooks: what the table of phases says that a phase is seen by is
// a stage or a function of a hook.
func TestPhasesNameHooks(t *testing.T) {
	for _, p := range results.Phases() {
		for _, group := range p.SeenBy {
			for _, name := range group {
				if !slices.ContainsFunc(hooks, func(h hook) bool { return h.stage == name || h.function == name }) {
					t.Errorf("%s is seen by %q, which no hook is", p.Name, name)
				}
			}
		}
	}
}
