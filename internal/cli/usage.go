// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/mapprof/mapprof/internal/flagvalue"
)

// Width is how wide the terminal is that w is; 0: it is none.
func Width(w any) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// HelpWidth is how wide help gets that is written to w.
func HelpWidth(w any) int {
	if width := Width(w); width > 0 {
		return width
	}
	return 100
}

// Usage tells a command's commands and flags, by groups, as wide as the terminal.
func Usage(cmd *cobra.Command) error {
	w := cmd.OutOrStderr()
	_, err := io.WriteString(w, usage(cmd, HelpWidth(w)))
	return err
}

func usage(cmd *cobra.Command, width int) string {
	var b strings.Builder
	b.WriteString("Usage:\n")
	if cmd.Runnable() {
		fmt.Fprintf(&b, "  %s\n", cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "  %s [command]\n", cmd.CommandPath())
	}
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		var commands [][2]string
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() || c.Name() == "help" {
				commands = append(commands, [2]string{c.Name(), c.Short})
			}
		}
		b.WriteString("\nCommands:\n" + Terms(width, commands...))
	}
	for _, group := range flagvalue.Groups() {
		fs := pflag.NewFlagSet(group, pflag.ContinueOnError)
		fs.SortFlags = false
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if flagvalue.GroupOf(f) == group {
				fs.AddFlag(f)
			}
		})
		if fs.HasAvailableFlags() {
			fmt.Fprintf(&b, "\n%s:\n%s", group, FlagUsages(fs, width))
		}
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n\"%s [command] --help\" tells more about a command.\n", cmd.CommandPath())
	}
	return b.String()
}

// flagLine is a line of pflag's: the flag with the name of its value, and what it does.
var flagLine = regexp.MustCompile(`^( +(?:-\w, )?--\S+(?: \S+)?)   +(.*)$`)

// FlagUsages describes flags in lines of at most width: beside the flag, and below it
// where that would leave too little. pflag itself breaks only some lines.
func FlagUsages(fs *pflag.FlagSet, width int) string {
	const below, least = 10, 44
	var rows [][]string
	longest := 0
	for line := range strings.Lines(fs.FlagUsages()) {
		m := flagLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			m = []string{"", strings.TrimRight(line, "\n"), ""}
		}
		rows, longest = append(rows, m[1:]), max(longest, len(m[1]))
	}
	var b strings.Builder
	for _, r := range rows {
		if width-longest-3 >= least {
			b.WriteString(Wrap(fmt.Sprintf("%-*s   %s", longest, r[0], r[1]), width, longest+3) + "\n")
		} else {
			b.WriteString(r[0] + "\n" + Wrap(strings.Repeat(" ", below)+r[1], width, below) + "\n")
		}
	}
	return b.String()
}
