// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"fmt"
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
		Kind: "local", Arch: runtime.GOARCH, Accel: "none", Clock: results.ClockWall, CPUs: onlineCPUs(), CPUsAllowed: runtime.NumCPU(), MemoryBytes: memTotal(),
		Kernel: results.Kernel{Release: Release(), Build: unameString(func(u *unix.Utsname) []byte { return u.Version[:] }),
			Cmdline: readLine("/proc/cmdline"), Knobs: readKnobs()},
		Probes: probeList(attachments),
	}}
	if note := kprobesMiss(attachments); note != "" {
		d.Warnings = append(d.Warnings, note)
	}
	if err == nil {
		d.Phases = VisiblePhases(attachments)
		err = p.Close()
	}
	if err != nil {
		d.Error = err.Error()
	}
	return d
}

// kprobesMiss says what isn't seen by kprobes, where last puts are watched by them.
func kprobesMiss(attachments []probes.Attachment) string {
	for _, a := range attachments {
		if a.Stage == probes.StagePut && a.Mechanism == probes.MechanismKprobe {
			why := ""
			if a.Refused != nil {
				why = fmt.Sprintf(" (fentry: %v)", a.Refused)
			}
			return "last puts are watched by kprobes" + why + ", which the kernel runs outside of bpf(2) alone: those of inner maps that an update replaces are missed"
		}
	}
	return ""
}

// PutsByKprobes tells whether last puts are watched by kprobes, which miss those inside
// bpf(2).
func PutsByKprobes(t *results.Target) bool {
	return slices.ContainsFunc(t.Probes, func(p results.Probe) bool {
		return p.Name == probes.StagePut && p.Mechanism == probes.MechanismKprobe
	})
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
