// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/report/pprofview"
)

func newPprofCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "pprof DIR... [pprof flags]",
		Short: "Look at a run's profile with pprof",
		Long: `Look at a run's profile with pprof, which is built in: neither Go nor binutils
need be installed. Several runs are added up; -diff_base=DIR compares with
another one. Without a format it asks for commands.

  mapprof pprof DIR -top                         limbo time by phase and caller
  mapprof pprof DIR -http=:                      flame graph and more in a browser
  mapprof pprof DIR -top -sample_index=deaths    ` + sampleTypesText() + `
  mapprof pprof DIR -top -tagfocus=strategy=rcu  only that strategy's deaths
  mapprof pprof DIR -tags                        what there is to choose from
  mapprof pprof NEW -diff_base=OLD -top          what got longer
  mapprof pprof DIR -traces -raw_stacks          the stacks as they are in the file

Stacks begin with frames of kernel, strategy, container and outer map; of memory
container, outer map and creator come first. How the kernel was entered is one
frame, bpf(2). Between two kernels there is no frame of the kernel, and none of a
function that one of them has inlined. -raw_stacks shows none of that.

Every sample ends in a frame [phase] NAME. A death and its limbo_bytes are
counted at the phase that lasted longest.`,
		DisableFlagParsing: true, // they are pprof's
		ValidArgsFunction:  completeDirs,
		RunE:               runPprof,
	}
}

// sampleTypesText lists what -sample_index may be beside deaths, in lines below
// each other.
func sampleTypesText() string {
	const width, indent = 40, 49
	lines := []string{"also:"}
	types := profile.SampleTypes()
	for i, name := range types {
		if name == profile.SampleDeaths {
			continue
		}
		if i < len(types)-1 {
			name += ","
		}
		last := &lines[len(lines)-1]
		if len(*last)+1+len(name) > width {
			lines = append(lines, name)
			continue
		}
		*last += " " + name
	}
	return strings.Join(lines, "\n"+strings.Repeat(" ", indent))
}

// runPprof hands the arguments to pprof.
func runPprof(cmd *cobra.Command, args []string) error {
	err := pprofview.Run(args, cmd.Long, pprofview.Streams{In: cmd.InOrStdin(), Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr()})
	var usage *pprofview.UsageError
	if errors.As(err, &usage) {
		return &usageError{err}
	}
	return err
}
