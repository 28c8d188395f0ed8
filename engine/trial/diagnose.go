// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"runtime"

	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"golang.org/x/sys/unix"
)

// Diagnosis is what doctor found on one kernel.
type Diagnosis struct {
	Target results.Target `json:"target"`
	Phases []string       `json:"phases"` // that can be seen there
	// Warnings are of the machine that it was examined on.
	Warnings []string `json:"warnings,omitempty"`
	Error    string   `json:"error,omitempty"`
}

// Diagnose attaches everything on this kernel, and detaches it again.
func Diagnose() Diagnosis {
	p, attachments, err := probes.Attach(probes.Config{})
	d := Diagnosis{Target: results.Target{
		Kind: "local", Accel: "none", Clock: "wall", CPUs: runtime.NumCPU(), MemoryBytes: memTotal(),
		Kernel: results.Kernel{Release: Release(), Build: unameString(func(u *unix.Utsname) []byte { return u.Version[:] }),
			Cmdline: readLine("/proc/cmdline"), Knobs: readKnobs()},
		Probes: probeList(attachments),
	}}
	if err == nil {
		d.Phases = visiblePhases(attachments)
		err = p.Close()
	}
	if err != nil {
		d.Error = err.Error()
	}
	return d
}

// visiblePhases says which phases the attached hooks can tell apart.
func visiblePhases(attachments []probes.Attachment) []string {
	on := map[string]bool{}
	for _, a := range attachments {
		if a.Mechanism != "" {
			on[a.Stage], on[a.Function] = true, true
		}
	}
	var phases []string
	add := func(phase string, visible bool) {
		if visible {
			phases = append(phases, phase)
		}
	}
	put, free := on[probes.StagePut], on[probes.StageFree]
	callback := on[probes.StageCallback]
	add(results.PhaseEnqueue, put && on[probes.StageEnqueue])
	add(results.PhaseTasksTraceGP, callback && (on["call_rcu_tasks_trace"] || on["call_srcu"]))
	add(results.PhaseRCUGP, callback && on["call_rcu"])
	add(results.PhaseQueue, free && (put || callback))
	add(results.PhaseFree, free)
	add(results.PhaseLimbo, put && free)
	add(results.PhaseUpdateWait, on[probes.StageUpdateWait])
	return phases
}

// CanTrace attaches the probes and detaches them again.
func CanTrace() error {
	p, _, err := probes.Attach(probes.Config{})
	if err != nil {
		return err
	}
	return p.Close()
}
