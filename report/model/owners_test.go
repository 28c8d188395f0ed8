// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
)

func owned(outer, path string, n uint64, p50 int64, pins ...string) results.OwnerSum {
	return results.OwnerSum{OuterName: outer, Creator: "agent", Path: path, PinnedBy: pins, Deaths: n, Bytes: 100 * n,
		Limbo: results.Stats{N: n, P50NS: p50, P99NS: 2 * p50}}
}

func TestOwners(t *testing.T) {
	s := &results.Scenario{Trials: []results.Trial{
		{Owners: []results.OwnerSum{owned("routes", "tasks-trace", 5, 160e6, "trace of tetragon"), owned("routes", "rcu", 3, 16e6), owned("", "immediate", 1, 1e3)}},
		{Owners: []results.OwnerSum{owned("routes", "tasks-trace", 7, 180e6, "trace of tetragon"), {Others: true, Deaths: 2, Limbo: results.Stats{N: 2, P50NS: 5, P99NS: 6}}}},
	}}
	rows, more := OwnersOf(s)
	if more != 0 || len(rows) != 4 {
		t.Fatalf("%d rows, %d more: %+v", len(rows), more, rows)
	}
	if r := rows[0]; r.Outer != "routes" || r.Deaths != 12 || r.Bytes != 1200 || r.P50NS != 180e6 || r.P99NS != 360e6 || r.PinnedBy != "trace of tetragon" {
		t.Errorf("of two trials: %+v", r)
	}
	texts := strings.ReplaceAll(strings.Join(PinnedTexts(s), "\n"), NBSP, " ")
	if want := "maps of outer map routes stay 180 ms (p50) instead of 16.0 ms: sleepable program trace of tetragon uses it"; texts != want {
		t.Errorf("%q, want %q", texts, want)
	}
	if !slices.ContainsFunc(rows, func(r OwnerRow) bool { return r.Outer == "all others" && r.Deaths == 2 }) {
		t.Errorf("the others are gone: %+v", rows)
	}
}

// TestOwnersAreBounded: a table has a screenful, names are a stranger's.
func TestOwnersAreBounded(t *testing.T) {
	var tr results.Trial
	for i := range 100 {
		tr.Owners = append(tr.Owners, owned(fmt.Sprintf("\x1b[2J%d", i), "rcu", uint64(i), 1))
	}
	rows, more := OwnersOf(&results.Scenario{Trials: []results.Trial{tr}})
	if len(rows) != MaxOwnerRows || more != 100-MaxOwnerRows || rows[0].Deaths != 99 || strings.Contains(rows[0].Outer, "\x1b") {
		t.Errorf("%d rows and %d more: %+v", len(rows), more, rows[0])
	}
}

func TestCommandText(t *testing.T) {
	for _, tt := range []struct {
		c    *results.Command
		want string
	}{
		{nil, ""}, {&results.Command{}, ""}, {&results.Command{ExitCode: 143, Stopped: true}, ""},
		{&results.Command{ExitCode: 3}, "the command ended with exit code 3"},
		{&results.Command{ExitCode: 139, Signal: "segmentation fault"}, "the command was ended by a signal: segmentation fault"},
	} {
		if got := CommandText(tt.c); got != tt.want {
			t.Errorf("%+v: %q", tt.c, got)
		}
	}
}
