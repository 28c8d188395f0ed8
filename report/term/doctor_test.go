// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/mapprof/mapprof/internal/golden"
	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/results"
)

func TestWriteDoctor(t *testing.T) {
	target := &results.Target{Kind: "vm", Accel: "tcg", Clock: "wall", CPUs: 2, MemoryBytes: 1 << 30,
		Kernel: results.Kernel{Release: "7.2.12", Build: "#1 SMP PREEMPT_DYNAMIC Debian 7.2.12-1"},
		Probes: []results.Probe{
			{Name: "last put", Function: "bpf_map_free_id", Mechanism: "fentry", Required: true},
			{Name: "enqueue", Function: "call_rcu", Mechanism: "kprobe", Reason: "fentry: permission denied"},
			{Name: "callback", Function: "bpf_map_free_mult_rcu_gp", Reason: "this kernel has no function of that name that can be traced; it may have been inlined, or renamed"},
		}}
	phases := []string{"enqueue", "rcu_gp", "queue", "free", "limbo", "update_wait"}
	refused := &results.Target{Kind: "local", Accel: "none", Clock: "wall", CPUs: 1,
		Kernel: results.Kernel{Release: "6.18\x1b[2J"},
		Probes: []results.Probe{{Name: "last put", Function: "bpf_map_free_id", Required: true, Reason: "fentry: operation not permitted; kprobe: no such file or directory"}}}
	for _, c := range []struct {
		name             string
		target           *results.Target
		phases, warnings []string
		o                Options
	}{
		{"doctor", target, phases, nil, Options{}},
		{"doctor_70", target, phases, []string{"mount tracefs on /sys/kernel/tracing: no such device\x1b[2J, which is said at some length"}, Options{Width: 70}},
		{"doctor_refused", refused, nil, nil, Options{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var buf bytes.Buffer
			if err := WriteDoctor(&buf, c.target, c.phases, c.warnings, c.o); err != nil {
				t.Fatal(err)
			}
			fixture.CheckText(t, buf.String(), c.o.Width, c.o.Color)
			golden.Check(t, filepath.Join("testdata", c.name+".golden"), buf.String())
		})
	}
}
