// SPDX-License-Identifier: Apache-2.0

package manual

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
)

// Command returns mapprof help. mistake makes an error the user's.
func Command(mistake func(error) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "help [COMMAND | WORKLOAD | PHASE | METRIC]",
		Short: "Tell about a command, a workload, a phase or a metric",
		Long: `Tell about a command, a workload with its flags and metrics, a phase of a map's death,
or a metric: its unit and range, where in the kernel it comes from, and which kernels have it.

  mapprof help run
  mapprof help churn
  mapprof help tasks_trace_gp
  mapprof help create.zeroing`,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			offered := names(cmd.Root())
			if len(args) > 0 {
				offered = nil
			}
			return offered, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			if found, rest, err := root.Find(args); err == nil && (found != root || len(args) == 0) && len(rest) == 0 {
				found.InitDefaultHelpFlag()
				return found.Help()
			}
			text, ok := "", false
			if len(args) == 1 {
				text, ok = Topic(args[0], cli.HelpWidth(cmd.OutOrStdout()))
			}
			if !ok {
				topic := strings.Join(args, " ")
				return mistake(fmt.Errorf("no help on %q%s (mapprof help help lists all)", topic, flagvalue.DidYouMean(topic, names(root))))
			}
			fmt.Fprint(cmd.OutOrStdout(), text)
			return nil
		},
	}
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		err := cli.Usage(cmd)
		fmt.Fprint(cmd.OutOrStderr(), topics(cli.HelpWidth(cmd.OutOrStderr())))
		return err
	})
	return cmd
}

// names are all that there is help on.
func names(root *cobra.Command) []string {
	var all []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() || c.Name() == "help" {
			all = append(all, c.Name())
		}
	}
	for _, d := range workloads.All() {
		all = append(all, d.Name)
	}
	all = append(all, results.AllPhases()...)
	for i := range metrics {
		if m := &metrics[i]; !capitals.MatchString(m.name) && !slices.Contains(all, m.name) {
			all = append(all, m.name)
		}
	}
	return all
}

// topics lists what there is help on beside commands.
func topics(width int) string {
	var phases [][2]string
	for _, p := range results.Phases() {
		phases = append(phases, [2]string{p.Name, p.Noun})
	}
	return "\nWorkloads:\n" + cli.Terms(width, workloads.Summaries()...) + "\nPhases:\n" + cli.Terms(width, phases...) +
		"\n" + cli.Wrap("Metrics are listed by \"mapprof help WORKLOAD\", each workload's own.", width, 0) + "\n"
}

// Topic tells about a workload, a phase or a metric in lines of at most width.
func Topic(name string, width int) (text string, ok bool) {
	if p, ok := results.PhaseNamed(name); ok {
		return phase(p, width), true
	}
	d, err := workloads.Find(name)
	if err == nil && !d.Hidden {
		return workload(d, width), true
	}
	if found := metricsNamed(name); len(found) > 0 {
		return aboutMetrics(found, width), true
	}
	return "", false
}

func workload(d workloads.Description, width int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", cli.Wrap("The workload "+d.Name+" "+d.Summary+".", width, 0))
	fmt.Fprintf(&b, "Example:\n  mapprof run --workload %s --strategy %s --kernel 6.12\n", d.Name, strings.Join(d.New().Strategies(), ","))
	fmt.Fprintf(&b, "\n%s\n", cli.Wrap("Strategies, the first by default. A freed map stays in memory …", width, 2))
	var terms [][2]string
	for _, name := range d.New().Strategies() {
		s, _ := results.StrategyNamed(name)
		terms = append(terms, [2]string{name, "… " + s.Sentence})
	}
	b.WriteString(cli.Terms(width, terms...))
	fmt.Fprintf(&b, "\nFlags:\n%s", cli.FlagUsages(workloads.FlagsOf(d), width))
	if list := metricsOf(d.Name); len(list) > 0 {
		b.WriteString("\nMetrics:\n")
		terms = nil
		for i := range list {
			terms = append(terms, [2]string{list[i].name, list[i].sentence})
		}
		b.WriteString(cli.Terms(width, terms...))
	}
	fmt.Fprintf(&b, "\n%s\n", cli.Wrap("\"mapprof run --help\" tells the flags that every workload has: where it runs, how often, and what is printed.", width, 0))
	return b.String()
}

// kinds say how a phase belongs to a death.
var kinds = map[results.PhaseKind]string{
	results.PartOfDeath: "a part of a death; the parts add up to " + results.PhaseLimbo,
	results.WholeDeath:  "a whole death",
	results.BesideDeath: "beside the deaths, of the workload's operations",
}

func phase(p results.Phase, width int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", cli.Wrap(p.Name+": "+p.Sentence+".", width, 0))
	b.WriteString(cli.Terms(width, phaseTerms(p)...))
	if p.SampleType != "" {
		fmt.Fprintf(&b, "\n  mapprof pprof DIR -top -sample_index=%s\n", p.SampleType)
	}
	return b.String()
}
