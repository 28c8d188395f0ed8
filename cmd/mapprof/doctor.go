// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/report"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

const eventDoctor = "doctor"

// diagnosis is what doctor found on one kernel.
type diagnosis struct {
	Target results.Target `json:"target"`
	Phases []string       `json:"phases"` // that can be seen there
	// Warnings are of the machine that it was examined on.
	Warnings []string `json:"warnings,omitempty"`
	Error    string   `json:"error,omitempty"`
}

// diagnose attaches everything on this kernel, and detaches it again.
func diagnose() diagnosis {
	p, attachments, err := probes.Attach(probes.Config{})
	d := diagnosis{Target: results.Target{
		Kind: "local", Accel: "none", Clock: "wall", CPUs: runtime.NumCPU(), MemoryBytes: memTotal(),
		Kernel: results.Kernel{Release: release(), Build: unameString(func(u *unix.Utsname) []byte { return u.Version[:] }),
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

func newDoctorCmd() *cobra.Command {
	var flags targetFlags
	var format string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say which probes attach on a kernel, and what can be seen there",
		Long: `Say which probes attach on a kernel, by which mechanism, which phases of a
map's death can therefore be told apart, and what is missing and why.

  mapprof doctor                          this machine's kernel, or a VM
  mapprof doctor --kernel ./bzImage       your own kernel
  mapprof doctor --kernel 5.10 --kernel 7.2`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			if format != "table" && format != "json" {
				return &usageError{fmt.Errorf("--format %q is not one of table, json", format)}
			}
			found, err := examine(cmd, &flags)
			if err != nil {
				return err
			}
			return showDiagnoses(cmd.OutOrStdout(), found, format)
		},
	}
	flags.add(cmd.Flags())
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	return cmd
}

// showDiagnoses prints what was found; what went wrong is its error.
func showDiagnoses(w io.Writer, found []diagnosis, format string) error {
	if format == "json" {
		if err := report.WriteValue(w, found); err != nil {
			return err
		}
	}
	var errs []error
	for _, d := range found {
		if format == "table" {
			if err := report.WriteDoctor(w, &d.Target, d.Phases, d.Warnings, tableOptions(w, "")); err != nil {
				return err
			}
		}
		if d.Error != "" {
			errs = append(errs, errors.New(d.Error))
		}
	}
	return errors.Join(errs...)
}

// examine diagnoses every kernel that the flags name.
func examine(cmd *cobra.Command, flags *targetFlags) ([]diagnosis, error) {
	ctx, stop := withSignals(cmd.Context())
	defer stop()
	kernels, err := flags.resolve(ctx, cmd.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	if kernels == nil {
		return []diagnosis{diagnose()}, nil
	}
	var found []diagnosis
	for _, k := range kernels {
		d, err := diagnoseVM(ctx, flags, k)
		if err != nil {
			return nil, err
		}
		found = append(found, d)
	}
	return found, nil
}

func diagnoseVM(ctx context.Context, flags *targetFlags, k target.Kernel) (diagnosis, error) {
	data, err := json.Marshal(job{Doctor: true})
	if err != nil {
		return diagnosis{}, err
	}
	var said []byte
	out, err := flags.vm(k).Run(ctx, target.Job{
		Args: []string{"guest", guestJobPath}, Files: map[string][]byte{guestJobPath: data},
		Event: func(kind string, payload []byte) {
			if kind == eventDoctor {
				said = bytes.Clone(payload)
			}
		},
	})
	if err != nil {
		return diagnosis{}, err
	}
	if out.ExitCode != 0 {
		return diagnosis{}, fmt.Errorf("examine %s: %s", k.Requested, out.Message)
	}
	if said == nil {
		return diagnosis{}, fmt.Errorf("examine %s: the guest said nothing", k.Requested)
	}
	var d diagnosis
	if err := json.Unmarshal(said, &d); err != nil {
		return diagnosis{}, fmt.Errorf("examine %s: %w", k.Requested, err)
	}
	describeVM(&d.Target, k, out)
	d.Warnings = out.Warnings
	if out.AccelReason != "" {
		d.Warnings = append(d.Warnings, out.AccelReason)
	}
	return d, nil
}

// describeVM adds to a guest's own description what only its host knows. How
// many CPUs there are, the guest knows better: its kernel may use fewer.
func describeVM(t *results.Target, k target.Kernel, out target.Outcome) {
	t.Kind, t.Accel, t.Clock, t.QEMU = "vm", out.Accel, out.Clock, out.QEMU
	t.MemoryBytes = out.MemoryBytes
	t.Kernel.Requested, t.Kernel.SHA256 = k.Requested, k.SHA256
}
