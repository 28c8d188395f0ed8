// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/engine/targetflags"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/report/term"
)

func newDoctorCmd() *cobra.Command {
	var flags targetflags.Flags
	var format string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say which probes attach on a kernel, and what can be seen there",
		Long: `Say which probes attach on a kernel, by which mechanism, which phases of a
map's death can therefore be told apart, and what is missing and why.

  mapprof doctor                          this machine's kernel, or a VM
  mapprof doctor --kernel ./bzImage       your own kernel
  mapprof doctor --kernel 5.10 --kernel 7.2`,
		Args: cli.NoArgs("name a kernel with --kernel"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.Check(); err != nil {
				return &usageError{err}
			}
			if err := checkFormat(format, "table", "json"); err != nil {
				return err
			}
			found, err := examine(cmd, &flags)
			if err != nil {
				return err
			}
			return showDiagnoses(cmd.OutOrStdout(), found, format)
		},
	}
	flags.Add(cmd.Flags(), defaultKernel)
	cli.AddFormat(cmd.Flags(), &format, "table", "json")
	return cmd
}

// showDiagnoses prints what was found; what went wrong is its error.
func showDiagnoses(w io.Writer, found []trial.Diagnosis, format string) error {
	if format == "json" {
		if err := model.WriteJSON(w, found); err != nil {
			return err
		}
	}
	var errs []error
	for _, d := range found {
		if format == "table" {
			if err := term.WriteDoctor(w, &d.Target, d.Phases, d.Warnings, term.OptionsFor(w, "")); err != nil {
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
func examine(cmd *cobra.Command, flags *targetflags.Flags) ([]trial.Diagnosis, error) {
	ctx, stop := cli.WithSignals(cmd.Context())
	defer stop()
	where, err := findTarget(ctx, flags, cmd.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	var found []trial.Diagnosis
	for i := range where.Kernels() {
		d, err := engine.Diagnose(ctx, where, i)
		if err != nil {
			return nil, err
		}
		found = append(found, d)
	}
	return found, nil
}
