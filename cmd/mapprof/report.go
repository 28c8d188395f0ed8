// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/internal/wholefile"
	"github.com/mapprof/mapprof/report/html"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/report/term"
)

func newReportCmd() *cobra.Command {
	var out, scenario string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "report DIR...",
		Short: "Show runs: on the terminal, or as one HTML file",
		Long: `Show runs. Without -o: tables on the terminal, and limbo time by percentile as
a sketch. With -o: one HTML file that has everything in it, needs no network,
and can be read without JavaScript; several runs are compared, the first is
the base. Three runs or more of one scenario are shown as a history too, see
mapprof history. Of more than 500 scenarios the file has a table; --scenario
shows one of them with its charts and all figures. Of a damaged run it shows
what is intact, says what isn't, and exits 1.

  mapprof report DIR
  mapprof report DIR -o report.html
  mapprof report DIR --scenario=churn/6.12.117/rcu
  mapprof report OLD NEW -o diff.html`,
		Args:              cli.SomeArgs("a run directory", "DIR"),
		ValidArgsFunction: completeDirs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("out") && out == "" {
				return &usageError{errors.New("-o needs a file name (- is standard output)")}
			}
			if cmd.Flags().Changed("scenario") && scenario == "" {
				return &usageError{errors.New("--scenario needs an ID (run.json and mapprof report -o list them)")}
			}
			runs := make([]*model.Loaded, 0, len(args))
			for _, dir := range args {
				l, err := model.Load(dir)
				if err != nil {
					return err
				}
				if scenario != "" {
					if l = l.Only(model.Filter{Scenario: scenario}); len(l.Run.Scenarios) == 0 {
						return fmt.Errorf("%s has no scenario %s (run.json and mapprof report -o list their IDs)", dir, scenario)
					}
				}
				runs = append(runs, l)
			}
			if out == "" {
				return errors.Join(printReports(cmd.OutOrStdout(), args, runs, verbose), model.Damage(runs))
			}
			page := func(w io.Writer) error { return html.Write(w, runs) }
			if out == "-" {
				return errors.Join(page(cmd.OutOrStdout()), model.Damage(runs))
			}
			return errors.Join(wholefile.Stream(out, page), model.Damage(runs))
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "all figures of a run that has many, and how each was measured")
	cmd.Flags().StringVar(&scenario, "scenario", "", "only the scenario of this ID")
	cmd.Flags().StringVarP(&out, "out", "o", "", "write one HTML file (- for standard output)")
	return cmd
}

func printReports(stdout io.Writer, dirs []string, runs []*model.Loaded, verbose bool) error {
	for i, l := range runs {
		if i > 0 {
			fmt.Fprintln(stdout)
		}
		o := term.OptionsFor(stdout, dirs[i])
		o.Brief = !verbose
		if err := term.WriteTable(stdout, l.Run, o); err != nil {
			return err
		}
		if err := term.WriteSketch(stdout, l, o); err != nil {
			return err
		}
	}
	return term.WriteReportHistory(stdout, runs, term.OptionsFor(stdout, ""))
}

// completeDirs has a shell offer directories, which runs are.
func completeDirs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}
