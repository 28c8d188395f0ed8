// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mapprof/mapprof/target/wire"
)

// A hung guest is asked what its tasks wait in, before it is ended: where its machine
// has a non-maskable interrupt, that makes its kernel panic, and print the stack of
// every task.

// tellLimit is how long a hung guest has for it. Some hundred stacks take about a
// second on an emulated console.
const tellLimit = 5 * time.Second

// askTasks makes a hung guest tell what its tasks do, and ends it. The answer is on
// its console.
func (f *follower) askTasks() {
	before := f.console.Bytes()
	f.beforeNMI = &before
	if f.monitor.Command("inject-nmi", quitLimit) != nil {
		return
	}
	t := time.NewTimer(tellLimit)
	defer t.Stop()
	select {
	case <-f.process.exited: // after a panic the machine reboots, and QEMU ends
	case <-t.C:
	}
}

const (
	hungTasks  = 8 // at most so many tasks are named
	hungFrames = 6 // and so many functions of each
)

var (
	taskLine  = regexp.MustCompile(`\btask:(.{1,15}?) +state:([A-Z]) .*\bpid: *([0-9]+)`)
	frameLine = regexp.MustCompile(`^(?:\[[ 0-9.]+\]) +([A-Za-z_][\w.]*)\+0x[0-9a-f]+/0x[0-9a-f]+`)
)

// busyTasks reads what a kernel prints of its tasks, and returns a line for the CPU
// that the interrupt came to first, and one for each task that runs or waits without
// being interruptible: where it is, the innermost function first.
func busyTasks(text []byte) []string {
	type entry struct {
		name   string
		frames []string
	}
	var tasks []*entry
	var now *entry
	for line := range strings.SplitSeq(strings.ReplaceAll(string(text), "\r", "\n"), "\n") {
		if m := taskLine.FindStringSubmatch(line); m != nil {
			now = nil
			if m[2] == "R" || m[2] == "D" {
				now = &entry{name: fmt.Sprintf("%s (pid %s, state %s)", m[1], m[3], m[2])}
				tasks = append(tasks, now)
			}
			continue
		}
		if strings.Contains(line, "</NMI>") { // what follows was interrupted
			now = &entry{name: "a CPU"}
			tasks = append(tasks, now)
			continue
		}
		m := frameLine.FindStringSubmatch(line)
		if m == nil || now == nil || len(now.frames) == hungFrames {
			continue
		}
		// Every sleeper is in these.
		if !slices.Contains([]string{"__schedule", "schedule", "schedule_timeout"}, m[1]) {
			now.frames = append(now.frames, m[1])
		}
	}
	var out []string
	for _, t := range tasks {
		// The task that prints them all runs, too.
		if len(t.frames) > 0 && len(out) < hungTasks && !slices.Contains(t.frames, "show_state_filter") {
			out = append(out, wire.Printable(t.name+": "+strings.Join(t.frames, " < "), 300))
		}
	}
	return out
}
