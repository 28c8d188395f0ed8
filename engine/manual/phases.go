// SPDX-License-Identifier: Apache-2.0

package manual

import (
	"strings"

	"github.com/mapprof/mapprof/results"
)

// origin is where a phase comes from in the kernel, and which kernels have it.
type origin struct{ source, kernels string }

// origins are those of the phases of package results. A phase that a program added has
// none.
var origins = map[string]origin{
	results.PhaseEnqueue: {
		source:  "bpf_map_put() to call_rcu(), call_rcu_tasks_trace() or, since 7.0, call_srcu() (c27cea4416a3)",
		kernels: "those where an inner map waits before it is freed: 6.8 (876673364161), and Debian's 5.10 and 6.1, which have that commit, too",
	},
	results.PhaseTasksTraceGP: {
		source:  "call_rcu_tasks_trace() or call_srcu() to bpf_map_free_mult_rcu_gp() or what it became",
		kernels: "6.8 (876673364161), and Debian's 5.10 and 6.1, for each inner map; since af66bfd3c853 (6.8) only where a sleepable program uses the outer map; since c27cea4416a3 (7.0) by SRCU",
	},
	results.PhaseRCUGP: {
		source:  "call_rcu() to bpf_map_free_rcu_gp() or what came before it",
		kernels: "6.8 (876673364161), and Debian's 5.10 and 6.1; since af66bfd3c853 (6.8) alone where no sleepable program uses the outer map",
	},
	results.PhaseQueue: {
		source:  "queue_work() to the entry of bpf_map_free_deferred()",
		kernels: floor + " or newer",
	},
	results.PhaseFreeWait: {
		source:  "synchronize_rcu*(), rcu_barrier() and __wait_rcu_gp() within bpf_map_free_deferred(): of dev_map_free(), cpu_map_free(), bpf_struct_ops_map_free()",
		kernels: floor + " or newer",
	},
	results.PhaseFree: {
		source:  "bpf_map_free_deferred(), which calls the type's map_free()",
		kernels: floor + " or newer",
	},
	results.PhaseLimbo: {
		source:  "bpf_map_put() to the return of bpf_map_free_deferred()",
		kernels: floor + " or newer",
	},
	results.PhaseUpdateWait: {
		source:  "synchronize_rcu() within bpf(2), BPF_MAP_UPDATE_ELEM or BPF_MAP_DELETE_ELEM of a map of maps; since ff34657aa72a (6.19) synchronize_rcu_expedited()",
		kernels: floor + " or newer",
	},
	results.PhaseOp: {
		source:  "the workload, in user space",
		kernels: floor + " or newer",
	},
}

// phaseTerms are all that is told of a phase, beside its sentence.
func phaseTerms(p results.Phase) [][2]string {
	terms := [][2]string{
		{"from", p.From}, {"to", p.To}, {"is", kinds[p.Kind]},
		{"unit", "nanoseconds in files and in profiles; tables scale them (µs, ms, s)"},
		{"range", "0 or more; quantiles are at most 0.1 % too high, n, sum, mean, min and max exact"},
	}
	if o, ok := origins[p.Name]; ok {
		terms = append(terms, [2]string{"source", o.source}, [2]string{"kernels", o.kernels})
	}
	terms = append(terms, [2]string{"seen by", seenBy(p)})
	if len(p.SeenBy) > 0 {
		terms = append(terms, [2]string{"visible", "where these probes attach: mapprof doctor --kernel KERNEL says whether, by which kernel function, and why not"})
	}
	return terms
}

// seenBy says which probes make a phase visible.
func seenBy(p results.Phase) string {
	if len(p.SeenBy) == 0 {
		return "no probe: the workload times it in user space"
	}
	var groups []string
	for _, g := range p.SeenBy {
		groups = append(groups, strings.Join(g, " or "))
	}
	return "the probes of: " + strings.Join(groups, "; and of ")
}
