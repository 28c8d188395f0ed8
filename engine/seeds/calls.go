// SPDX-License-Identifier: Apache-2.0

//go:build linux

package seeds

import (
	"fmt"
	"strings"

	"github.com/mapprof/mapprof/results"
)

// calls is, map by map, what each call of bpf(2) takes and how often it waits, or how it is
// refused.
func calls(s *results.Scenario) string {
	var texts []string
	for m := range strings.SplitSeq(s.Params["map"], ",") {
		var parts []string
		for o := range strings.SplitSeq(s.Params["op"], ",") {
			parts = append(parts, call(s, m, o))
		}
		texts = append(texts, m+": "+strings.Join(parts, "; "))
	}
	return strings.Join(texts, "\n")
}

func call(s *results.Scenario, m, o string) string {
	name, text := "calls."+m+"."+o, o
	if s.Metrics[name].N == 0 {
		name, text = name+".refused", o+" refused"+refusedWith(s, m, o)
	}
	took := s.Metrics[name]
	if took.N == 0 {
		return o + " –"
	}
	if waits := s.Metrics[name+".waits"]; waits.N > 0 && waits.Max > 0 {
		return fmt.Sprintf("%s %s, waits: %.0f", text, nanoseconds(s, name), waits.P50)
	}
	return text + " " + nanoseconds(s, name)
}

// refusedWith is the errno that a call was refused with, in parentheses.
func refusedWith(s *results.Scenario, m, o string) string {
	for f := range strings.SplitSeq(found(m+": "+o)(s), "\n") {
		rest := strings.TrimPrefix(f, m+": "+o)
		_, errno, ok := strings.Cut(rest, ": refused (")
		if name, _, whole := strings.Cut(errno, ")"); ok && whole && !strings.HasPrefix(rest, "-") {
			return " (" + name + ")"
		}
	}
	return ""
}

// batches is deaths by a batched delete, and what other batched calls do.
func batches(s *results.Scenario) string {
	if s.Workload == "mapcalls" {
		return calls(s)
	}
	return deaths(s)
}

// idsGiven: user space looks up ids in outer maps of both types. (What is no inner map's id
// fails the run.)
func idsGiven(s *results.Scenario) string {
	for m := range strings.SplitSeq(s.Params["map"], ",") {
		if s.Metrics["calls."+m+".lookup"].N == 0 {
			return "no lookup of " + m + " gave an id"
		}
	}
	return ""
}
