// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/engine/targetflags"
	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/report/term"
	"github.com/mapprof/mapprof/target/kernels"
)

// newKernelsCmd makes mapprof kernels, with its sub-commands list and fetch.
func newKernelsCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kernels",
		Short: "List Debian's kernels and fetch them into the cache",
		Long: `List Debian's kernels and fetch them into the cache.

Packages come from Debian's archive by way of apt, at the host's mirror and
through its proxy; signatures are checked and the host's apt configuration is
left alone. The cache is $MAPPROF_CACHE, or else mapprof in the user's cache
folder. A fetched kernel needs no network any more.

  mapprof kernels list
  mapprof kernels fetch 6.1 6.12`,
		Args: cli.NoArgs("its commands are list and fetch"),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKernelsListCmd(), newKernelsFetchCmd())
	return cmd
}

func newKernelsListCmd() *cobra.Command {
	var all, offline bool
	var format, arch string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the kernels in the cache and in Debian's archive",
		Example: `  mapprof kernels list
  mapprof kernels list --offline`,
		Args: kernelsArgs(cli.NoArgs("--help lists its flags"), &format),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := kernels.List(cmd.Context(), kernelsOptions(cmd, offline, arch))
			if err != nil {
				return err
			}
			if !all {
				list = list.Wanted()
			}
			if format == "json" {
				return model.WriteJSON(cmd.OutOrStdout(), list)
			}
			return writeKernelList(cmd.OutOrStdout(), list)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every version, not only each series' newest and the cached")
	cmd.Flags().BoolVar(&offline, "offline", false, "list the cache without asking the archive")
	targetflags.AddArch(cmd.Flags(), &arch)
	cli.AddFormat(cmd.Flags(), &format, "table", "json")
	return cmd
}

func newKernelsFetchCmd() *cobra.Command {
	var format, arch string
	cmd := &cobra.Command{
		Use:   "fetch SERIES…",
		Short: "Fetch the newest kernel of each series into the cache",
		Example: `  mapprof kernels fetch 6.1 6.12
  mapprof kernels fetch 6.12.117`,
		Args: kernelsArgs(cli.SomeArgs("a series or a version", "6.12"), &format),
		RunE: func(cmd *cobra.Command, args []string) error {
			opt := kernelsOptions(cmd, false, arch)
			fetched := []kernels.Kernel{}
			var failed error
			for _, series := range args {
				k, err := kernels.Fetch(cmd.Context(), series, opt)
				if err != nil {
					failed = err
					break
				}
				fetched = append(fetched, k)
			}
			var err error
			if format == "json" {
				err = model.WriteJSON(cmd.OutOrStdout(), fetched)
			} else if len(fetched) > 0 {
				err = writeKernelsFetched(cmd.OutOrStdout(), fetched)
			}
			if failed != nil {
				return failed
			}
			return err
		},
	}
	targetflags.AddArch(cmd.Flags(), &arch)
	cli.AddFormat(cmd.Flags(), &format, "table", "json")
	return cmd
}

// kernelsArgs checks the arguments and --format before anything is done.
func kernelsArgs(args cobra.PositionalArgs, format *string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, a []string) error {
		if err := checkFormat(*format, "table", "json"); err != nil {
			return err
		}
		return args(cmd, a)
	}
}

func kernelsOptions(cmd *cobra.Command, offline bool, arch string) kernels.Options {
	stderr := cmd.ErrOrStderr()
	return kernels.Options{
		Offline:  offline,
		Arch:     arch,
		Progress: func(line string) { fmt.Fprintln(stderr, safetext.Text(line)) },
	}
}

func writeKernelList(w io.Writer, list kernels.Listing) error {
	t := term.Plain{Header: []string{"series", "release", "version", "suite", "size", "cached"}, Right: []int{4}}
	for _, k := range list.Kernels {
		cached := ""
		if k.Cached {
			cached = "yes"
			if k.Newest {
				cached = "yes, used for " + k.Series
			}
		}
		t.Add(k.Series, k.Release, k.Version, k.Suite, fmt.Sprintf("%.1f MB", float64(k.SizeBytes)/1e6), cached)
	}
	out := "no kernels\n"
	if len(list.Kernels) > 0 {
		out = t.String()
	}
	for _, n := range list.Notes {
		out += "note: " + safetext.Text(n) + "\n"
	}
	_, err := io.WriteString(w, out)
	return err
}

func writeKernelsFetched(w io.Writer, kernels []kernels.Kernel) error {
	t := term.Plain{Header: []string{"kernel", "release", "source", "image"}}
	for _, k := range kernels {
		t.Add(k.Requested, k.Release, k.Source, k.Path)
	}
	_, err := io.WriteString(w, t.String())
	return err
}
