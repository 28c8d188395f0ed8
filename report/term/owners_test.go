// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/results"
)

// TestOwnersFit: whose maps died is told to the container as far as the width allows:
// by the path of the cgroup, by its last part, or not.
func TestOwnersFit(t *testing.T) {
	s := fixture.RCU(fixture.Kernel612)
	s.Trials[0].Owners = []results.OwnerSum{{OuterName: "cgroup_hash", Creator: "(sleep) of systemd-executo", Cgroup: "/system.slice/filtered.service",
		Path: "rcu", Deaths: 9, Limbo: results.Stats{N: 9, P50NS: 1e6, P99NS: 2e6}}}
	for width, want := range map[int]string{140: " /system.slice/filtered.service ", 100: " filtered.service ", 80: ""} {
		var text bytes.Buffer
		if err := WriteTable(&text, fixture.NewRun(s), Options{Width: width}); err != nil {
			t.Fatal(err)
		}
		_, table, ok := strings.Cut(text.String(), "outer map ")
		if table, _, _ = strings.Cut(table, "\n\n"); !ok || !strings.Contains(table, want) || strings.Contains(table, "filtered") != (want != "") {
			t.Errorf("%d columns:\n%s", width, table)
		}
	}
}
