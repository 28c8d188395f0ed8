// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/engine/runflags"
)

const recordHelp = `Watch the maps of programs that aren't mapprof's: which outer map they were taken
out of, who created and dropped them, how long they stay in memory, and which
sleepable program keeps them there. Which maps are alive at the begin and at the end,
and who holds them, is told too.

  mapprof record --kernel 6.12 --kernel 7.2 -- ./agent --config a.yaml
  sudo mapprof record --target local --duration 1m

The first boots each kernel in a VM with the agent and its libraries inside, and
compares. The second watches this whole machine; with a command, only the command's
maps. A recording ends with the command, after --duration, or at Ctrl-C. With --root a
directory is the VM's root file system, where systemd or init becomes PID 1.`

func newRecordCmd() *cobra.Command {
	var flags runflags.Record
	cmd := &cobra.Command{
		Use:   "record [flags] [-- COMMAND ARGS...]",
		Short: "Watch the maps of other programs",
		Long:  recordHelp,
	}
	cmd.Flags().SortFlags = false
	flags.Add(cmd.Flags(), defaultKernel)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		run, err := makeRun(cmd, args, &flags.Flags, &flags)
		if err == nil && flags.Propagate && runflags.Exit(run) != 0 {
			return &exitError{code: runflags.Exit(run)}
		}
		return err
	}
	return cmd
}
