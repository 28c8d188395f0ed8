// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/signal"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// newGuestCmd makes the command that a VM's init starts; people never do.
func newGuestCmd() *cobra.Command {
	return &cobra.Command{
		Use:    "guest JOB",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), unix.SIGINT, unix.SIGTERM)
			defer stop()
			return trial.RunGuest(ctx, args[0])
		},
	}
}
