// SPDX-License-Identifier: Apache-2.0

//go:build linux

package seeds

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// phase is a phase's median and maximum.
func phase(s *results.Scenario, name, text string) string {
	p, ok := s.Phases[name]
	if !ok || p.N == 0 {
		return text + " –"
	}
	return fmt.Sprintf("%s %s p50, %s max (n = %d)", text, model.FormatDuration(float64(p.P50NS)), model.FormatDuration(float64(p.MaxNS)), p.N)
}

// deaths is how long a freed map stays, and how long the update waits.
func deaths(s *results.Scenario) string {
	return asked(s) + phase(s, results.PhaseLimbo, "limbo") + "; " + phase(s, results.PhaseUpdateWait, "wait of an update")
}

func updateWait(s *results.Scenario) string {
	expedited := uint64(0)
	for _, t := range s.Trials {
		expedited += t.Expedited
	}
	return fmt.Sprintf("%s%s, %d of them expedited", asked(s), phase(s, results.PhaseUpdateWait, "wait of an update"), expedited)
}

// paths is which grace periods freed maps waited for.
func paths(s *results.Scenario) string {
	return asked(s) + pathsTaken(s) + ", " + phase(s, results.PhaseLimbo, "limbo")
}

func asked(s *results.Scenario) string { return "asked for " + s.Strategy.Requested + ": " }

func pathsTaken(s *results.Scenario) string {
	var taken []string
	for _, path := range slices.Sorted(maps.Keys(s.Strategy.Paths)) {
		taken = append(taken, fmt.Sprintf("%d by %s", s.Strategy.Paths[path], path))
	}
	if len(taken) == 0 {
		return "no death"
	}
	return strings.Join(taken, ", ")
}

func freeing(s *results.Scenario) string {
	return phase(s, results.PhaseFreeWait, "map_free of a devmap waits") + "; " + phase(s, results.PhaseFree, "the rest of it")
}

// registering is what it takes to register and unregister a struct_ops map, and whether
// its free waits.
func registering(s *results.Scenario) string {
	return fmt.Sprintf("register %s; unregister %s, of it waiting %s; %s, %s", nanoseconds(s, "structops.register"), nanoseconds(s, "structops.unregister"),
		nanoseconds(s, "structops.unregister.wait"), pathsTaken(s), phase(s, results.PhaseFreeWait, "its free waits"))
}

// redirecting is how many frames are moved at once, what one takes, and what the free of
// the map waits that said where they go.
func redirecting(s *results.Scenario) string {
	var parts []string
	for _, what := range []string{"bulk", "flush"} {
		m := s.Metrics["redirect."+what+".frames"]
		if m.N == 0 {
			parts = append(parts, "frames a "+what+": –")
			continue
		}
		parts = append(parts, fmt.Sprintf("%s frames a %s (at most %.0f, n = %d)", model.Significant(m.Mean, false), what, m.Max, m.N))
	}
	if m, bulks := s.Metrics["redirect.bulk.frame"], s.Metrics["redirect.bulk.frames"]; m.N > 0 {
		parts = append(parts, fmt.Sprintf("a frame in bulks %s (mean of %.0f)", model.FormatDuration(m.P50), bulks.Mean*float64(bulks.N)))
	}
	for _, f := range []struct{ metric, text string }{
		{"redirect.frame.live", "a live frame in all"}, {"redirect.frame.segments", "a frame of a veth in all"},
	} {
		if m := s.Metrics[f.metric]; m.N > 0 {
			parts = append(parts, f.text+" "+nanoseconds(s, f.metric))
		}
	}
	if s.Params["to"] != "ifindex" {
		parts = append(parts, phase(s, results.PhaseFreeWait, "its free waits"))
	}
	return s.Params["to"] + ": " + strings.Join(parts, "; ")
}

// teardown is how the inner maps of an outer map that died were freed, and which
// updates waited.
func teardown(s *results.Scenario) string {
	parts := []string{s.Params["outer"] + ": " + pathsTaken(s) + ", " + phase(s, results.PhaseLimbo, "limbo")}
	for _, u := range []struct{ metric, text string }{
		{"update.failed.full.waits", "updates that fail"}, {"update.waits", "updates that don't"},
	} {
		m, ok := s.Metrics[u.metric]
		if !ok || m.N == 0 {
			parts = append(parts, u.text+": –")
			continue
		}
		parts = append(parts, fmt.Sprintf("%.0f of %d %s waited", m.Mean*float64(m.N), m.N, u.text))
	}
	return strings.Join(parts, "; ")
}

// closing is what the close(2) of a map with special fields takes, and what of it goes to
// cancelling these.
func closing(s *results.Scenario) string {
	text := fmt.Sprintf("%s with field %s: close(2) %s", s.Params["map"], s.Params["field"], nanoseconds(s, "special.close"))
	if s.Metrics["special.cancel.close"].N > 0 {
		text += ", of it cancelling " + nanoseconds(s, "special.cancel.close")
	}
	return text
}

// record is what the close(2) of a map with special fields takes, and its free.
func record(s *results.Scenario) string {
	return closing(s) + "; " + phase(s, results.PhaseFree, "free")
}

// innerRecord is the same, and whether an inner map's types must be the outer map's.
func innerRecord(s *results.Scenario) string {
	text := closing(s)
	if types := found("an inner map with types ")(s); types != "" {
		text += "; " + types
	}
	return text
}

// destroying is what the free of a map takes with its special fields.
func destroying(s *results.Scenario) string {
	return fmt.Sprintf("%s with field %s: %s", s.Params["map"], s.Params["field"], phase(s, results.PhaseFree, "free"))
}

func nanoseconds(s *results.Scenario, metric string) string {
	m, ok := s.Metrics[metric]
	if !ok || m.N == 0 {
		return "–"
	}
	return fmt.Sprintf("%s p50 (n = %d)", model.FormatDuration(m.P50), m.N)
}

// found is what a workload found of what begins so.
func found(begin string) func(*results.Scenario) string {
	return func(s *results.Scenario) string {
		var texts []string
		for _, t := range s.Trials {
			for _, f := range t.Findings {
				if strings.HasPrefix(f, begin) {
					texts = append(texts, f)
				}
			}
		}
		return strings.Join(texts, "\n")
	}
}

// extensions is what replacing a function takes, and what its program waits for when it
// is unloaded.
func extensions(s *results.Scenario) string {
	text := "attach " + nanoseconds(s, "programs.attach.freplace") + "; from the unload to bpf_prog_free_deferred " + nanoseconds(s, "programs.free.freplace")
	if refused := found("freplace of ")(s); refused != "" {
		text += "; " + refused
	}
	return text
}

// attaching is what the only program on a function of the kernel waits for.
func attaching(s *results.Scenario) string {
	return "attach " + nanoseconds(s, "programs.attach.kernel") + ", detach " + nanoseconds(s, "programs.detach.kernel")
}

// verifying is the verifier's calls for functions of either kind.
func verifying(s *results.Scenario) string {
	var texts []string
	for _, kind := range []string{"globals", "statics"} {
		texts = append(texts, fmt.Sprintf("%s %s: %.0f calls of do_check_common, the longest %s; load %s", s.Params["globals"], kind,
			s.Metrics["programs.verify.calls."+kind].P50, nanoseconds(s, "programs.verify.longest."+kind), nanoseconds(s, "programs.load."+kind)))
	}
	return strings.Join(texts, "\n")
}

// holders is, holder by holder, who was seen, who did the last put, and how long after
// the workload's own close: medians.
func holders(s *results.Scenario) string {
	var texts []string
	for by := range strings.SplitSeq(s.Params["by"], ",") {
		text := cmp.Or(found(by+": ")(s), by+": –")
		if held := s.Metrics["holders.held."+by]; held.N > 0 {
			text += ", " + model.FormatDuration(held.P50) + " after the workload's close"
		}
		if free := s.Metrics["holders.program_free."+by]; free.N > 0 {
			text += " (the program's wait " + model.FormatDuration(free.P50) + ")"
		}
		if limbo := s.Metrics["holders.limbo."+by]; limbo.N > 0 {
			text += "; limbo " + model.FormatDuration(limbo.P50)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "\n")
}

// addressing is what was proven, and which inner maps were taken.
func addressing(s *results.Scenario) string {
	proven, failed := 0, 0
	var refused []string
	for _, t := range s.Trials {
		failed += len(t.Failures)
		for _, f := range t.Findings {
			if strings.HasPrefix(f, "addressing: ok") {
				proven++
			}
			if _, names, ok := strings.Cut(f, ": refused: "); ok {
				refused = append(refused, "refuses "+names)
			}
		}
	}
	text := fmt.Sprintf("addressing: %d proofs hold, %d fail", proven, failed)
	return strings.Join(append([]string{text}, refused...), "; ")
}

// lookup is what a lookup by a path costs.
func lookup(s *results.Scenario, path string) string {
	m, ok := s.Metrics["lookup."+path]
	if !ok || m.N == 0 {
		return "lookup by " + path + " –"
	}
	return fmt.Sprintf("lookup by %s %s %s p50", path, model.Significant(m.P50, false), m.Unit)
}

func lookupPerCPUHelper(s *results.Scenario) string { return lookup(s, "percpu-helper") }

// lookupBatched is what a lookup costs in a batch and by itself, and what other calls do.
func lookupBatched(s *results.Scenario) string {
	if s.Workload == "mapcalls" {
		return calls(s)
	}
	return lookup(s, "syscall") + "; " + lookup(s, "batch")
}

// masked is what an inlined lookup is in a map that CAP_BPF alone created, after what it is
// in one that CAP_PERFMON created, and the memory of both.
func masked(s *results.Scenario) string {
	const suffix = "-unprivileged"
	pair := func(metric, jited string) string {
		return model.MetricCells(s.Metrics[metric+jited])[0] + " → " + model.MetricCells(s.Metrics[metric+suffix+jited])[0]
	}
	return fmt.Sprintf("%s: loop with an inlined lookup %s BPF instructions, %s of machine code; a map %s",
		s.Params["map"], pair("code.inlined", ""), pair("code.inlined", ".jited"), pair("memory.map", ""))
}

// clocks is what a read of each costs, and how far apart two reads of the second must be.
func clocks(s *results.Scenario) string {
	cost := func(name string) string { return model.MetricCells(s.Metrics["clock."+name])[0] }
	return fmt.Sprintf("bpf_ktime_get_ns %s p50; bpf_jiffies64 %s p50, a jiffy is %s", cost("ktime"), cost("jiffies64"), cost("jiffies64.step"))
}
