// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/live"
)

// topScript runs top beside an agent, which it starts when top has attached and printed
// its first line. When top has counted every death it ends it by a signal.
const topScript = `{ $MAPPROF top --format json --outer-name routes --count 100 & echo $!; wait $!; echo "exit $?"; } |
{ read -r pid; read -r line; $AGENT -count 20 -sleepable sleeper; while read -r line; do
	echo "top: $line"
	case $line in *'"deaths":21,'*) kill -TERM $pid;; esac
done; }`

// TestVMTop: in a guest, top counts every death of a program that isn't mapprof's, and
// says out of which outer map the maps came, and what pinned them.
func TestVMTop(t *testing.T) {
	t.Parallel()
	agent, bin := builtAgent(t), builtMapprof(t)
	_, stderr := mapprofOK(t, exitOK, "record", "--offline", "--kernel", "6.12", "--memory", "2GiB", "--file", agent, "--file", bin,
		"--env", "MAPPROF="+bin, "--env", "AGENT="+agent, "-o", filepath.Join(t.TempDir(), "run"), "--", "sh", "-c", topScript)
	var last live.Snapshot
	for line := range strings.Lines(stderr) {
		if line, ok := strings.CutPrefix(strings.TrimSpace(line), "top: {"); ok {
			last = live.Snapshot{}
			if err := json.Unmarshal([]byte("{"+line), &last); err != nil {
				t.Errorf("%v: %s", err, line)
			}
		}
	}
	if !strings.Contains(stderr, "top: exit 0") || !last.Final {
		t.Fatalf("top didn't end well:\n%s", stderr)
	}
	// One is freed with the outer map.
	if last.Deaths != 21 || last.Lost != 0 || last.LimboMaps != 0 || last.Excluded["filtered"] == 0 {
		t.Errorf("%d deaths, %d lost, %d in limbo, excluded %v", last.Deaths, last.Lost, last.LimboMaps, last.Excluded)
	}
	sum := uint64(0)
	for _, o := range last.Owners {
		sum += o.Deaths
		pinned := o.Path == "tasks-trace" && slices.Equal(o.PinnedBy, []string{"sleeper of agent"}) && o.Deaths == 20 && o.Limbo.N == 20
		if o.OuterName != "routes" || o.Creator != "agent" || !pinned && o.Deaths != 1 {
			t.Errorf("%+v", o)
		}
	}
	if sum != last.Deaths {
		t.Errorf("the owners have %d deaths of %d", sum, last.Deaths)
	}
	if p := last.Phases["tasks_trace_gp"]; p.N != 20 || p.P50NS <= 0 || p.P50NS > last.Phases["limbo"].MaxNS {
		t.Errorf("%+v", last.Phases)
	}
}
