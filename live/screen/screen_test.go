// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/mapprof/mapprof/internal/golden"
	"github.com/mapprof/mapprof/live"
	"github.com/mapprof/mapprof/results"
)

// madeUp is a snapshot of a busy machine.
func madeUp() *live.Snapshot {
	stats := func(n uint64, p50, p99 int64) results.Stats {
		return results.Stats{N: n, P50NS: p50, P90NS: p99, P99NS: p99, MinNS: p50, MaxNS: p99 + 1e6}
	}
	return &live.Snapshot{
		Time: time.Date(2026, 11, 26, 19, 0, 0, 0, time.UTC), ElapsedNS: 61e9, IntervalNS: 1e9, WindowNS: 30e9,
		Deaths: 12_345_678, IntervalDeaths: 1234, DeathsPerSecond: 1234, LimboMaps: 19, LimboBytes: 7444,
		Oldest: &live.Pending{AgeNS: 307e6, Phase: results.PhaseTasksTraceGP, MapName: "route", MapType: "array", MemBytes: 392, Creator: "agent", Outer: "outer2"},
		Phases: map[string]results.Stats{
			results.PhaseEnqueue: stats(60, 6540, 55_500), results.PhaseTasksTraceGP: stats(60, 164e6, 307e6), results.PhaseRCUGP: stats(60, 14.2e6, 23.6e6),
			results.PhaseQueue: stats(139, 154e3, 4.67e6), results.PhaseFree: stats(139, 13_300, 258e3), results.PhaseLimbo: stats(139, 19.5e6, 307e6),
		},
		Owners: []live.Owner{
			{
				Outer: "array_of_maps", OuterID: 12, OuterName: "outer2", Creator: "agent", Container: "c00000000000", Path: "tasks-trace",
				PinnedBy: []string{"sleeper of agent"}, Deaths: 12_000_000, DeathsPerSecond: 1200, LimboMaps: 18, LimboBytes: 7052, OldestNS: 307e6,
				Limbo:  stats(60, 164e6, 307e6),
				Phases: map[string]results.Stats{results.PhaseTasksTraceGP: stats(60, 160e6, 300e6), results.PhaseLimbo: stats(60, 164e6, 307e6)},
				Stack:  []string{"bpf_map_put", "bpf_map_fd_put_ptr", "__sys_bpf"},
			},
			{Outer: "hash_of_maps", OuterID: 13, OuterName: "cilium_policy_v2", Creator: "cilium-agent", Cgroup: "/kubepods.slice/kubepods-burstable.slice", Path: "rcu", Deaths: 345_600, DeathsPerSecond: 33.5, LimboMaps: 1, LimboBytes: 392, OldestNS: 5e6, Limbo: stats(40, 14.7e6, 23.9e6)},
			{OuterID: 99, Comm: "地図の番人", Path: "rcu", Deaths: 40, Limbo: stats(4, 14.8e6, 230e6)},
			{Creator: "bpftrace", Cgroup: "/", Path: "immediate", Deaths: 5},
		},
		Others: &live.Owner{Deaths: 33, DeathsPerSecond: 0.5},
		Lost:   2, Loss: map[string]uint64{"stale": 2, "recursion_misses": 7}, Excluded: map[string]uint64{"filtered": 4},
	}
}

var widths = []int{60, 80, 120}

func press(t *testing.T, s *screen, keys ...string) (quit bool) {
	t.Helper()
	codes := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "space": tea.KeySpace, "down": tea.KeyDown, "up": tea.KeyUp, "backspace": tea.KeyBackspace, "end": tea.KeyEnd}
	for _, key := range keys {
		msg := tea.KeyPressMsg{Text: key}
		if code, ok := codes[key]; ok {
			msg = tea.KeyPressMsg{Code: code}
		} else {
			msg.Code = []rune(key)[0]
		}
		if key == "ctrl+c" {
			msg = tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl}
		}
		if _, cmd := s.Update(msg); cmd != nil {
			_, quit = cmd().(tea.QuitMsg)
		}
	}
	return quit
}

func sized(width, height int) *screen {
	s := &screen{}
	s.Update(tea.WindowSizeMsg{Width: width, Height: height})
	s.Update(told{madeUp()})
	return s
}

// shown is the text of a screen, which fits on it.
func shown(t *testing.T, s *screen) string {
	t.Helper()
	lines := strings.Split(s.View().Content, "\n")
	if len(lines) > max(s.height, 1) {
		t.Errorf("%d lines on a screen of %d", len(lines), s.height)
	}
	for i, line := range lines {
		if w := ansi.StringWidth(line); w > s.width {
			t.Errorf("%d columns on a screen of %d: %q", w, s.width, line)
		}
		lines[i] = strings.TrimRight(ansi.Strip(line), " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// TestScreens: each page at each width.
func TestScreens(t *testing.T) {
	for name, keys := range map[string][]string{
		"table": nil, "sorted": {"s"}, "filtered": {"/", "C", "i", "l", "enter"}, "typing": {"/", "x"},
		"paused": {"space"}, "detail": {"enter"}, "detail-second": {"down", "enter"}, "help": {"?"},
	} {
		for _, width := range widths {
			t.Run(fmt.Sprintf("%s-%d", name, width), func(t *testing.T) {
				s := sized(width, 30)
				press(t, s, keys...)
				golden.Check(t, filepath.Join("testdata", fmt.Sprintf("%s-%d.golden", name, width)), shown(t, s))
			})
		}
	}
}

// TestAnySize: whatever the size of a terminal, nothing is outside of it.
func TestAnySize(t *testing.T) {
	for _, keys := range [][]string{nil, {"enter"}, {"?"}, {"end"}, {"/", "q"}} {
		for width := range 140 {
			for _, height := range []int{0, 1, 2, 7, 12, 50} {
				s := sized(width, height)
				press(t, s, keys...)
				shown(t, s)
			}
		}
	}
	if text := shown(t, &screen{width: 60, height: 10}); !strings.Contains(text, "waiting") {
		t.Errorf("before the first snapshot: %s", text)
	}
}

// TestManyOwners: the line that is selected is on the screen, wherever it is.
func TestManyOwners(t *testing.T) {
	s := sized(80, 24)
	snap := madeUp()
	for i := range live.MaxOwners - len(snap.Owners) {
		snap.Owners = append(snap.Owners, live.Owner{OuterName: fmt.Sprintf("map%03d", i), Deaths: uint64(i + 100)})
	}
	s.Update(told{snap})
	for range live.MaxOwners {
		at, o := s.current()
		text := s.View().Content
		_, line, _ := strings.Cut(text, reverse)
		if !strings.HasPrefix(line, outerOf(o)[:min(len(outerOf(o)), 6)]) {
			t.Fatalf("the selected line %d (%s) is not on the screen:\n%s", at, outerOf(o), text)
		}
		press(t, s, "down")
	}
	if at, _ := s.current(); at != live.MaxOwners-1 {
		t.Errorf("at the end %d is selected", at)
	}
}

// TestKeys: what each key does.
func TestKeys(t *testing.T) {
	s := sized(100, 30)
	if press(t, s, "s", "s"); s.by != live.ByP99 {
		t.Errorf("sorted by %v", s.by)
	}
	press(t, s, "s", "s", "down")
	if _, o := s.current(); o.OuterName != "cilium_policy_v2" {
		t.Errorf("selected: %+v", o)
	}
	// The selected one stays so where another comes before it.
	snap := madeUp()
	snap.Owners[3].LimboBytes = 1 << 30
	s.Update(told{snap})
	if at, o := s.current(); at != 2 || o.OuterName != "cilium_policy_v2" {
		t.Errorf("selected: %d, %+v", at, o)
	}
	press(t, s, "space")
	s.Update(told{&live.Snapshot{Deaths: 1}})
	if !s.paused || s.snap.Deaths == 1 {
		t.Error("it is not paused")
	}
	if press(t, s, "space"); s.paused || s.snap.Deaths != 1 {
		t.Error("after the pause the newest is not shown")
	}
	s.Update(told{madeUp()})
	press(t, s, "/", "q", "?", "backspace", "backspace", "o", "u", "t", "enter")
	if len(s.owners()) != 1 || s.filter != "out" || s.typing {
		t.Errorf("filter %q leaves %d", s.filter, len(s.owners()))
	}
	if press(t, s, "esc"); s.filter != "" || len(s.owners()) != 4 {
		t.Errorf("filter %q after esc", s.filter)
	}
	press(t, s, "/")
	s.Update(tea.PasteMsg{Content: "a\x1b[2J" + strings.Repeat("b", 100)})
	if strings.Contains(s.filter, "\x1b") || len(s.filter) > maxFilter {
		t.Errorf("pasted: %q", s.filter)
	}
	press(t, s, "esc", "enter", "?", "esc")
	if s.page != pageTable || press(t, s, "x") || !press(t, s, "q") || !press(t, s, "ctrl+c") {
		t.Error("it doesn't quit at q and ctrl-c alone")
	}
	press(t, s, "/")
	if press(t, s, "q") || !press(t, s, "ctrl+c") {
		t.Error("q is text in a filter, ctrl-c is not")
	}
	// One that is looked at may go.
	s = sized(100, 30)
	press(t, s, "enter")
	s.Update(told{&live.Snapshot{}})
	if text := shown(t, s); !strings.Contains(text, "nothing is known of it any more") {
		t.Errorf("%s", text)
	}
}

// source is made up: it tells snapshots until its limit or the end of ctx, and then err.
type source struct {
	err   error
	panic bool
	ended chan struct{} // closed when Watch has returned
}

func (*source) Warnings() []string { return nil }

func (s *source) Watch(ctx context.Context, l live.Limits, each func(*live.Snapshot) error) error {
	defer close(s.ended)
	for i := 1; ; i++ {
		snap := madeUp()
		snap.Final = ctx.Err() != nil || i == l.Count
		if err := each(snap); err != nil || snap.Final {
			return err
		}
		if s.panic {
			panic("made up")
		}
		if s.err != nil {
			return s.err
		}
		select {
		case <-ctx.Done():
		case <-time.After(l.Interval):
		}
	}
}

// TestPlain: without a terminal there are lines, or an object a line.
func TestPlain(t *testing.T) {
	for _, o := range []live.Options{{Plain: true}, {JSON: true}} {
		o.Interval, o.Count = time.Millisecond, 2
		var out bytes.Buffer
		if err := Run(t.Context(), &source{ended: make(chan struct{})}, o, strings.NewReader(""), &out); err != nil {
			t.Fatal(err)
		}
		if o.Plain {
			golden.Check(t, filepath.Join("testdata", "plain.golden"), out.String())
			continue
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		var snap live.Snapshot
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &snap); err != nil || len(lines) != 2 || snap.Deaths != 12_345_678 || !snap.Final || len(snap.Owners) != 4 {
			t.Errorf("%v: %d lines, %+v", err, len(lines), snap)
		}
	}
}
