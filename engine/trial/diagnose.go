// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"runtime"
	"slices"

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
		Kind: "local", Accel: "none", Clock: results.ClockWall, CPUs: runtime.NumCPU(), MemoryBytes: memTotal(),
		Kernel: results.Kernel{Release: Release(), Build: unameString(func(u *unix.Utsname) []byte { return u.Version[:] }),
			Cmdline: readLine("/proc/cmdline"), Knobs: readKnobs()},
		Probes: probeList(attachments),
	}}
	if err == nil {
		d.Phases = VisiblePhases(attachments)
		err = p.Close()
	}
	if err != nil {
		d.Error = err.Error()
	}
	return d
}

// VisiblePhases says which phases the attached hooks can tell apart.
func VisiblePhases(attachments []probes.Attachment) []string {
	on := map[string]bool{}
	for _, a := range attachments {
		if a.Mechanism != "" {
			on[a.Stage], on[a.Function] = true, true
		}
	}
	var visible []string
	for _, p := range results.Phases() {
		unseen := func(group []string) bool {
			return !slices.ContainsFunc(group, func(name string) bool { return on[name] })
		}
		if len(p.SeenBy) > 0 && !slices.ContainsFunc(p.SeenBy, unseen) {
			visible = append(visible, p.Name)
		}
	}
	return visible
}

// CanTrace attaches the probes and detaches them again.
func CanTrace() error {
	p, _, err := probes.Attach(probes.Config{})
	if err != nil {
		return err
	}
	return p.Close()
}
