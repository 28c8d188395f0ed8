// SPDX-License-Identifier: Apache-2.0

package manual

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/internal/cli"
)

// metric is what is known of a figure that is no phase, or of several whose names differ in
// a part: words in capitals stand for it.
type metric struct {
	name     string
	workload string // that has it; empty: every one
	unit     string
	sentence string // what it is
	source   string // where it comes from: the system call, the kernel's function, a commit
	since    string // the first kernel that has it, where that is later than mapprof's floor
	signed   bool   // a difference, which can be below zero
}

// floor is the oldest kernel that mapprof profiles.
const floor = "5.10"

const (
	nsUnit    = "ns"
	nsPerOp   = "ns/op"
	byteUnit  = "bytes"
	waitsUnit = "waits/op"
)

const updateCall = "around bpf(2), BPF_MAP_UPDATE_ELEM of the outer map"

// metrics is the table. A workload's stand together, in the order of its run.
var metrics = []metric{
	{name: "limbo/peak_bytes", unit: byteUnit, sentence: "most memory that was in limbo at one moment", source: "the kernel's formulas of map_mem_usage, over deaths"},
	{name: "limbo/peak_maps", unit: "maps", sentence: "most maps that were in limbo at one moment", source: "last puts less returns of bpf_map_free_deferred"},
	{name: "limbo/byte_seconds", unit: "byte-seconds", sentence: "memory in limbo, summed over time", source: "each death's memory times its limbo"},
	{name: "limbo/byte_seconds_per_death", unit: "byte-seconds", sentence: "the same, by the deaths", source: "limbo/byte_seconds divided by the deaths"},
	{name: "hold", workload: "churn", unit: nsUnit, sentence: "how long the reader of --hold-reader stayed after the operation had begun to wait", source: "the reader's own clock; no death of it waits for less"},

	{name: "lookup.PATH", workload: "lookup", unit: nsPerOp, sentence: "one lookup by that path", source: "bpf(2) for syscall and batch; a loop in BPF less an empty one for helper, inlined and percpu-helper (07343110b293, 5.19)"},
	{name: "lookup.PATH.call", workload: "lookup", unit: nsUnit, sentence: "one whole call of that path", source: "around bpf(2), BPF_MAP_LOOKUP_BATCH"},
	{name: "lookup.PATH.function", workload: "lookup", unit: nsPerOp, sentence: "the kernel's function that looks up, as its probes see it: each call, or one in --sample", source: "fentry to fexit of the map's map_lookup_elem, such as array_map_lookup_elem; four instructions more with --sample"},
	{name: "probe.PATH", workload: "lookup", unit: nsPerOp, signed: true, sentence: "what the probe adds to one lookup", source: "with it less without it, in turns; it is taken off nothing"},
	{name: "code.PATH", workload: "lookup", unit: "instructions", sentence: "BPF instructions of the loop with one lookup", source: "xlated_prog_len of bpf_prog_info"},
	{name: "code.PATH.jited", workload: "lookup", unit: byteUnit, sentence: "machine code of that loop", source: "jited_prog_len of bpf_prog_info"},
	{name: "memory.map", workload: "lookup", unit: byteUnit, signed: true, sentence: "memory that creating the map took (--unprivileged)", source: "VmallocUsed of /proc/meminfo, after less before"},
	{name: "memory.map-unprivileged", workload: "lookup", unit: byteUnit, signed: true, sentence: "the same of a map that CAP_BPF alone created", source: "VmallocUsed of /proc/meminfo, after less before; 2c78ee898d8f"},

	{name: "create", workload: "bigarray", unit: nsUnit, sentence: "creating the array", source: "around bpf(2), BPF_MAP_CREATE"},
	{name: "create.array_map_alloc", workload: "bigarray", unit: nsUnit, sentence: "the array's allocation within that call", source: "fentry to fexit of array_map_alloc"},
	{name: "create.area_alloc", workload: "bigarray", unit: nsUnit, sentence: "finding and mapping its pages", source: "fentry to fexit of bpf_map_area_mmapable_alloc or __bpf_map_area_alloc"},
	{name: "create.zeroing", workload: "bigarray", unit: nsUnit, sentence: "zeroing its pages", source: "the function that clears allocated pages, or the share of samples in clear_page_* where that is inlined (6.1 to 6.18)"},
	{name: "create.allocation", workload: "bigarray", unit: nsUnit, signed: true, sentence: "the rest: finding and mapping pages", source: "create less create.zeroing"},
	{name: "mmap", workload: "bigarray", unit: nsUnit, sentence: "mapping the whole array", source: "around mmap(2) of the map's descriptor"},
	{name: "touch", workload: "bigarray", unit: nsPerOp, sentence: "the first read of each page through that mapping", source: "around batches of reads"},
	{name: "zero", workload: "bigarray", unit: nsUnit, sentence: "setting all of it to zero once it is there, to hold create.zeroing against", source: "around the writes through mmap"},
	{name: "lookup.PATH", workload: "bigarray", unit: nsPerOp, sentence: "one lookup by that path, mmap among them", source: "as in lookup; 87ac0d600943 (6.0) made elements past 4 GiB reachable"},
	{name: "lookup.PATH.function", workload: "bigarray", unit: nsPerOp, sentence: "the kernel's function that looks up, as its probes see it", source: "fentry to fexit of array_map_lookup_elem"},
	{name: "update.PATH", workload: "bigarray", unit: nsPerOp, sentence: "one update by that path", source: "bpf(2) for syscall and batch; a loop in BPF less an empty one for helper and inlined; a store for mmap"},
	{name: "probe.PATH", workload: "bigarray", unit: nsPerOp, signed: true, sentence: "what the probe adds to one lookup", source: "with it less without it, in turns"},
	{name: "free.total", workload: "bigarray", unit: nsUnit, sentence: "from the end of the call that dropped the last reference until 9/10 of the memory are given back", source: "VmallocUsed of /proc/meminfo"},
	{name: "free.array_map_free", workload: "bigarray", unit: nsUnit, sentence: "freeing the array", source: "fentry to fexit of array_map_free"},
	{name: "free.vfree", workload: "bigarray", unit: nsUnit, sentence: "giving its pages back", source: "fentry to fexit of vfree, within array_map_free"},
	{name: "memory.STATE", workload: "bigarray", unit: byteUnit, sentence: "vmalloc memory in use before the array is made, while it is held, in limbo, and after", source: "VmallocUsed of /proc/meminfo, all of the target's"},

	{name: "clock.ktime", workload: "clocks", unit: nsPerOp, sentence: "one call of bpf_ktime_get_ns", source: "a loop in BPF less an empty one, 16 calls a turn"},
	{name: "clock.jiffies64", workload: "clocks", unit: nsPerOp, sentence: "one call of bpf_jiffies64", source: "a loop in BPF less an empty one, 16 calls a turn; 5576b991e9c1 (5.6)"},
	{name: "clock.jiffies64.step", workload: "clocks", unit: nsUnit, sentence: "how far apart two jiffies are", source: "bpf_ktime_get_ns and bpf_jiffies64 read together"},

	{name: "update", workload: "teardown", unit: nsUnit, sentence: "an update of the outer map", source: updateCall},
	{name: "update.failed.CAUSE", workload: "teardown", unit: nsUnit, sentence: "one that fails: the map is full, the key exists (BPF_NOEXIST), or there is none (BPF_EXIST)", source: updateCall},
	{name: "update.waits", workload: "teardown", unit: waitsUnit, sentence: "whether that update waited for a grace period", source: "calls of synchronize_rcu and synchronize_rcu_expedited on its thread"},
	{name: "update.failed.CAUSE.waits", workload: "teardown", unit: waitsUnit, sentence: "the same of an update that fails", source: "calls of synchronize_rcu and synchronize_rcu_expedited on its thread"},
	{name: "teardown.puts", workload: "teardown", unit: nsUnit, sentence: "from the close(2) of the outer map until its last inner map has left the table of ids", source: "BPF_MAP_GET_NEXT_ID, once a millisecond"},
	{name: "teardown.outer_free", workload: "teardown", unit: nsUnit, sentence: "the free of the outer map with all that is in it", source: "fentry to fexit of array_of_map_free or htab_of_map_free; 20c20bd11a13 (6.8)"},

	{name: "special.close", workload: "special", unit: nsUnit, sentence: "the close(2) of the map's only descriptor", source: "around close(2)"},
	{name: "special.cancel.close", workload: "special", unit: nsUnit, since: "5.15", sentence: "cancelling the fields of all elements within that close", source: "fentry to fexit of array_map_free_timers, htab_map_free_timers, and what they became; 68134668c182"},
	{name: "special.cancel.worker", workload: "special", unit: nsUnit, since: "5.15", sentence: "the same at other times, by the worker that frees maps", source: "as special.cancel.close"},
	{name: "special.element.close", workload: "special", unit: nsUnit, since: "5.15", sentence: "cancelling the field of one element within close(2)", source: "fentry to fexit of bpf_timer_cancel_and_free or bpf_wq_cancel_and_free"},
	{name: "special.element.worker", workload: "special", unit: nsUnit, since: "5.15", sentence: "the same by the worker that frees that map", source: "as special.element.close"},

	{name: "holders.held.HOLDER", workload: "holders", unit: nsUnit, sentence: "from the workload's own close(2) to the last put", source: "the holder; f76fa6b33805 (6.0) for the iterator's descriptor"},
	{name: "holders.last_put.HOLDER", workload: "holders", unit: nsUnit, sentence: "from where the holder lets go to the last put", source: "close, munmap, unlink, delete or kill; then bpf_map_put"},
	{name: "holders.program_free.HOLDER", workload: "holders", unit: nsUnit, sentence: "from the close(2) of the program's only descriptor to the begin of its free", source: "the entry of bpf_prog_free_deferred: the program's own grace period, and the worker"},
	{name: "holders.limbo.HOLDER", workload: "holders", unit: nsUnit, sentence: "the phase limbo, by holder", source: "the last put to the return of bpf_map_free_deferred"},

	{name: "programs.load.PROGRAM", workload: "programs", unit: nsUnit, sentence: "loading a program, its BTF included", source: "around bpf(2), BPF_PROG_LOAD"},
	{name: "programs.verify.calls.PROGRAM", workload: "programs", unit: "calls/load", sentence: "how many functions the verifier went through by themselves", source: "calls of do_check_common; 51c39bb1d5d1 (5.6)"},
	{name: "programs.verify.call.PROGRAM", workload: "programs", unit: nsUnit, sentence: "one of these", source: "fentry to fexit of do_check_common"},
	{name: "programs.verify.longest.PROGRAM", workload: "programs", unit: nsUnit, sentence: "the longest of each load", source: "fentry to fexit of do_check_common"},
	{name: "programs.attach.ROLE", workload: "programs", unit: nsUnit, sentence: "making the link of a program", source: "around bpf(2), BPF_LINK_CREATE or BPF_RAW_TRACEPOINT_OPEN, which waits for RCU-tasks where a trampoline changes"},
	{name: "programs.detach.kernel", workload: "programs", unit: nsUnit, sentence: "dropping the only link to a function of the kernel", source: "around close(2); up to 6.19 ftrace_shutdown() waits for RCU-tasks, since 7.0 all trampolines share one ftrace_ops (424f6a361096)"},
	{name: "programs.free.ROLE", workload: "programs", unit: nsUnit, sentence: "from the close(2) of a program's only descriptor to the begin of its free", source: "the entry of bpf_prog_free_deferred"},

	{name: "redirect.frame.live", workload: "redirect", unit: "ns/frame", since: "5.18", sentence: "one redirected frame of BPF_PROG_TEST_RUN with live frames", source: "the duration that the kernel measures, in which devices receive, too"},
	{name: "redirect.frame.segments", workload: "redirect", unit: "ns/frame", sentence: "one redirected frame of a packet that becomes a burst, where there are no live frames", source: "around sendto(2)"},
	{name: "redirect.STREAM", workload: "redirect", unit: "frames", sentence: "frames that were redirected (sent), and those that arrived", source: "counted in BPF"},
	{name: "redirect.passing.STREAM", workload: "redirect", unit: "frames", sentence: "the same of the frames that pass while maps die", source: "counted in BPF"},
	{name: "redirect.bulk", workload: "redirect", unit: nsUnit, sentence: "moving one bulk of frames", source: "fentry to fexit of bq_xmit_all or bq_flush_to_queue; 1d233886dd90 (5.6)"},
	{name: "redirect.bulk.frame", workload: "redirect", unit: "ns/frame", sentence: "all bulks together, by the frames", source: "as redirect.bulk"},
	{name: "redirect.bulk.frames", workload: "redirect", unit: "frames", sentence: "frames of a bulk", source: "the queue's count at bq_xmit_all or bq_flush_to_queue"},
	{name: "redirect.flush", workload: "redirect", unit: nsUnit, sentence: "one flush", source: "fentry to fexit of xdp_do_flush"},
	{name: "redirect.flush.frames", workload: "redirect", unit: "frames", sentence: "frames in bulks from one flush to the end of the next", source: "the queues' counts between returns of xdp_do_flush"},

	{name: "structops.register", workload: "structops", unit: nsUnit, sentence: "registering a map: INIT to INUSE", source: "around bpf(2), BPF_MAP_UPDATE_ELEM; 85d33df357b6 (5.6)"},
	{name: "structops.unregister", workload: "structops", unit: nsUnit, sentence: "unregistering it: INUSE to TOBEFREE", source: "around bpf(2), BPF_MAP_DELETE_ELEM"},
	{name: "structops.unregister.wait", workload: "structops", unit: nsUnit, sentence: "the grace period within that call", source: "fentry to fexit of synchronize_rcu"},
	{name: "structops.close", workload: "structops", unit: nsUnit, sentence: "the close(2) of the map's only descriptor", source: "around close(2)"},

	{name: "calls.MAP.CALL", workload: "mapcalls", unit: nsUnit, sentence: "one call of bpf(2) on a map of that type", source: "around bpf(2); batches by 057996380a42, aa2e93b8e58e and cb4d03ab499d (5.6)"},
	{name: "calls.MAP.CALL.refused", workload: "mapcalls", unit: nsUnit, sentence: "one that the kernel refuses", source: "around bpf(2)"},
	{name: "calls.MAP.CALL.refused.waits", workload: "mapcalls", unit: waitsUnit, sentence: "grace periods that a refused one waited for", source: "calls of synchronize_rcu and synchronize_rcu_expedited on its thread"},
	{name: "calls.MAP.CALL.refused.waiting", workload: "mapcalls", unit: nsUnit, sentence: "what these took together", source: "fentry to fexit of synchronize_rcu and synchronize_rcu_expedited"},
	{name: "calls.MAP.CALL.waits", workload: "mapcalls", unit: waitsUnit, sentence: "grace periods that the call waited for", source: "calls of synchronize_rcu and synchronize_rcu_expedited on its thread"},
	{name: "calls.MAP.CALL.waiting", workload: "mapcalls", unit: nsUnit, sentence: "what these took together", source: "fentry to fexit of synchronize_rcu and synchronize_rcu_expedited"},
}

// parts are what a word in capitals stands for, as a pattern: any one part of a name unless
// there are few.
var parts = map[string]string{
	"STATE": "(before|held|limbo|after)", "STREAM": "(sent|arrived)", "CAUSE": "(full|exists|none)",
}

var capitals = regexp.MustCompile(`[A-Z]+`)

// matches tells whether a figure of that name is one of these.
func (m *metric) matches(name string) bool {
	pattern := capitals.ReplaceAllStringFunc(regexp.QuoteMeta(m.name), func(word string) string {
		if p, ok := parts[word]; ok {
			return p
		}
		return `[a-z0-9_-]+`
	})
	return name == m.name || regexp.MustCompile("^"+pattern+"$").MatchString(name)
}

// metricsNamed are those that a figure of that name is, one for each workload that has it.
// A name without a part in capitals is meant before one with.
func metricsNamed(name string) []metric {
	found := slices.DeleteFunc(slices.Clone(metrics), func(m metric) bool { return !m.matches(name) })
	exact := func(m metric) bool { return m.name == name }
	if slices.ContainsFunc(found, exact) {
		found = slices.DeleteFunc(found, func(m metric) bool { return !exact(m) })
	}
	return found
}

func metricsOf(workload string) []metric {
	return slices.DeleteFunc(slices.Clone(metrics), func(m metric) bool { return m.workload != workload })
}

// of says whose a metric is.
func (m *metric) of() string {
	if m.workload == "" {
		return "every workload, and recordings"
	}
	return "the workload " + m.workload
}

// bounds says which values there can be.
func (m *metric) bounds() string {
	if m.signed {
		return "any number: it is a difference"
	}
	return "0 or more"
}

// kernels says from which kernel on there is one.
func (m *metric) kernels() string {
	if m.since == "" {
		return floor + " or newer"
	}
	return m.since + " or newer"
}

// aboutMetrics tells about a figure, in lines of at most width.
func aboutMetrics(found []metric, width int) string {
	var b strings.Builder
	for i := range found {
		m := &found[i]
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s\n\n", cli.Wrap(m.name+": "+m.sentence+".", width, 0))
		b.WriteString(cli.Terms(width, [][2]string{
			{"of", m.of()}, {"unit", m.unit}, {"range", m.bounds()}, {"from", m.source}, {"kernels", m.kernels()},
		}...))
	}
	return b.String()
}
