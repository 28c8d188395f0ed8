// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"fmt"
	"math/bits"
	"os"
	"strings"
	"time"

	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
)

// watchdog tells of deaths that are pending for long, each once.
type watchdog struct {
	after time.Duration // 0: none is told of
	tell  func(*results.Stuck)
	index map[probes.DeathKey]int // in found, of those that have not ended
	found []results.Stuck
	more  uint64 // that are not in it
	// gracePeriod is the state of the grace periods, as of askedNS.
	gracePeriod string
	askedNS     int64
}

// WatchStuck tells of each wanted death that has been pending longer than after. It is
// called before Start; tell is called by the collector's goroutine.
func (o *Owners) WatchStuck(after time.Duration, tell func(*results.Stuck)) {
	o.stuck = watchdog{after: after, tell: tell, index: map[probes.DeathKey]int{}}
}

// Stuck are those that were told of, the first results.MaxStuck of them, and how many
// more there were. Its result is the caller's to keep.
func (o *Owners) Stuck() ([]results.Stuck, uint64) {
	return append([]results.Stuck(nil), o.stuck.found...), o.stuck.more
}

// pending looks at a death under way, with the times that it has reached, as of atNS.
func (o *Owners) pending(d *results.Death, e *probes.Pending, atNS int64) {
	w := &o.stuck
	key := e.Death.Key()
	if _, told := w.index[key]; w.after <= 0 || told || atNS-d.PutNS < w.after.Nanoseconds() {
		return
	}
	if len(w.found) >= results.MaxStuck {
		w.index[key] = -1
		w.more++
		return
	}
	if w.askedNS != atNS { // once for all that are seen together
		w.askedNS, w.gracePeriod = atNS, o.gracePeriod()
	}
	s := results.Stuck{
		MapID: d.MapID, MapName: d.MapName, MapType: d.MapType, Bytes: d.MemBytes, Phase: d.PhaseNow(),
		PutNS: d.PutNS, SeenNS: atNS, GracePeriod: w.gracePeriod,
		Worker: workerText(e.Worker),
	}
	if d.Owner != nil {
		s.OuterID, s.OuterName, s.Creator, s.PinnedBy = d.Owner.OuterID, d.Owner.OuterName, d.Owner.CreatorName(), d.Owner.PinnedBy
	}
	w.index[key] = len(w.found)
	w.found = append(w.found, s)
	w.tell(&s)
}

// ended takes up that a death has ended.
func (w *watchdog) ended(e *probes.DeathEvent) {
	i, told := w.index[e.Key()]
	if !told {
		return
	}
	delete(w.index, e.Key())
	if i >= 0 {
		w.found[i].FreedNS = int64(e.FreedNs)
	}
}

// maxFrames is how many functions are named of a worker's stack.
const maxFrames = 12

// workerText says where the kernel thread is that frees a map: its functions, the
// innermost first; one that is on a CPU has none to show. Empty: none frees it yet, or the kernel doesn't tell (it asks for
// CAP_SYS_ADMIN, and CONFIG_STACKTRACE).
func workerText(tid uint32) string {
	if tid == 0 {
		return ""
	}
	stack, err := os.ReadFile(fmt.Sprintf("/proc/%d/stack", tid))
	if err != nil {
		return ""
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", tid))
	if err != nil {
		return ""
	}
	return workerStack(tid, strings.TrimSpace(string(comm)), string(stack))
}

// workerStack reads lines such as "[<0>] synchronize_rcu+0x1a/0x30".
func workerStack(tid uint32, comm, stack string) string {
	var frames []string
	for line := range strings.Lines(stack) {
		if fields := strings.Fields(line); len(fields) > 1 && len(frames) < maxFrames {
			name, _, _ := strings.Cut(fields[1], "+")
			frames = append(frames, name)
		}
	}
	if len(frames) == 0 {
		return fmt.Sprintf("%s (pid %d), which runs", comm, tid)
	}
	return fmt.Sprintf("%s (pid %d) in %s", comm, tid, strings.Join(frames, " < "))
}

// How many readers of tasks-trace are named, and CPUs that RCU waits for.
const (
	maxReaders = 4
	maxCPUs    = 8
)

// rcuStates are the names of rcu_state.gp_state.
var rcuStates = []string{"IDLE", "WAIT_GPS", "DONE_GPS", "ONOFF", "INIT", "WAIT_FQS", "DOING_FQS", "CLEANUP", "CLEANED"}

// gracePeriod says what the kernel tells of the grace periods under way; empty: nothing.
func (o *Owners) gracePeriod() string {
	if o.inventory == nil {
		return ""
	}
	var parts, readers, cpus []string
	var srcu string
	n := 0
	err := o.inventory.Waits(func(h *probes.HolderItem) {
		switch h.Kind {
		case probes.HolderReader:
			if n++; n <= maxReaders {
				readers = append(readers, fmt.Sprintf("%s (pid %d)", untilNUL(h.Comm[:]), h.Tgid))
			}
		case probes.HolderRCU:
			parts = append(parts, rcuText(h.File, h.Id))
		case probes.HolderCPUs:
			cpus = append(cpus, cpuNumbers(h.File, h.Id)...)
		case probes.HolderSRCU:
			srcu = srcuText(h)
		}
	})
	if err != nil {
		return ""
	}
	if len(cpus) > maxCPUs {
		cpus = append(cpus[:maxCPUs:maxCPUs], fmt.Sprintf("%d more", len(cpus)-maxCPUs))
	}
	if len(cpus) > 0 {
		parts = append(parts, "it waits for CPU "+strings.Join(cpus, ", "))
	}
	if srcu != "" {
		parts = append(parts, srcu)
	}
	if n > maxReaders {
		readers = append(readers, fmt.Sprintf("%d more", n-maxReaders))
	}
	if n > 0 {
		parts = append(parts, "tasks-trace readers: "+strings.Join(readers, ", "))
	}
	return strings.Join(parts, "; ")
}

// rcuText is the state of RCU: the lowest two bits of gp_seq are not 0 while a grace
// period is under way.
func rcuText(seq uint64, state uint32) string {
	name := fmt.Sprint(state)
	if int(state) < len(rcuStates) {
		name = "RCU_GP_" + rcuStates[state]
	}
	if seq&3 == 0 {
		return fmt.Sprintf("no RCU grace period under way (gp_seq %d, %s)", int64(seq), name)
	}
	return fmt.Sprintf("RCU grace period under way (gp_seq %d, %s)", int64(seq), name)
}

// cpuNumbers are the CPUs of a leaf's mask, whose first is that number.
func cpuNumbers(mask uint64, first uint32) []string {
	var cpus []string
	for ; mask != 0; mask &= mask - 1 {
		cpus = append(cpus, fmt.Sprint(int(first)+bits.TrailingZeros64(mask)))
	}
	return cpus
}

// srcuText is the state of the SRCU that tasks-trace is since 7.0. A grace period scans
// one index for readers after the other (SRCU_STATE_SCAN1, SCAN2: the lowest two bits of
// srcu_gp_seq), and waits until none is left there.
func srcuText(h *probes.HolderItem) string {
	state := "no tasks-trace grace period under way"
	if scan := h.File & 3; scan != 0 {
		state = fmt.Sprintf("tasks-trace grace period in scan %d", scan)
	}
	return fmt.Sprintf("%s (srcu_gp_seq %d, readers by index %d and %d)", state, int64(h.File), int32(h.Id), int32(h.Fd))
}
