// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/engine/gatetest"
)

// recordingCmds are the commands that need Linux: here they only say so.
func recordingCmds() []*cobra.Command {
	var cmds []*cobra.Command
	for name, short := range map[string]string{
		"run":     "Run a workload on one or more kernels and profile it",
		"doctor":  "Say which probes attach on a kernel, and what can be seen there",
		"kernels": "List Debian's kernels and fetch them into the cache",
	} {
		cmds = append(cmds, &cobra.Command{
			Use: name, Short: short + " (Linux only)", DisableFlagParsing: true,
			RunE: func(*cobra.Command, []string) error { return errNeedsLinux("mapprof " + name) },
		})
	}
	return cmds
}

func errNeedsLinux(what string) error {
	return fmt.Errorf("%s needs Linux, and this is %s (report, web, compare, gate, pprof and export read runs anywhere)", what, runtime.GOOS)
}

// completeKernels: there is no cache of kernels.
func completeKernels(*cobra.Command) {}

// guestInit is for the init of a VM, which is Linux.
func guestInit() {}

func bootSelfTest(context.Context, *selfTestFlags, <-chan struct{}, gatetest.Run) error {
	return errNeedsLinux("mapprof gate --self-test without --no-vm")
}
