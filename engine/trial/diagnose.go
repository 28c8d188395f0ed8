// SPDX-License-Identifier: Apache-2.0

//go:build linux

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
		Kind: "local", Arch: runtime.GOARCH, Accel: "none", Clock: results.ClockWall, CPUs: onlineCPUs(), CPUsAllowed: runtime.NumCPU(), MemoryBytes: memTotal(),
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
	return (&results.Target{Probes: probeList(attachments)}).VisiblePhases()
}

// CanTrace attaches the probes and detaches them again.
func CanTrace() error {
	p, _, err := probes.Attach(probes.Config{})
	if err != nil {
		return err
	}
	return p.Close()
}
