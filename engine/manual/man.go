// SPDX-License-Identifier: Apache-2.0

package manual

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/internal/version"
	"github.com/mapprof/mapprof/workloads"
)

// manWidth is how wide lists in a man page get, which a reader doesn't break.
const manWidth = 72

// ManCommand returns mapprof man, which packagers call.
func ManCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:    "man DIR",
		Short:  "Write a man page for each command, or the reference as Markdown",
		Hidden: true,
		Args:   cli.SomeArgs("a directory", "man/"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format == "markdown" {
				return WriteReference(cmd.Root(), args[0])
			}
			return WriteMan(cmd.Root(), args[0])
		},
	}
	cli.AddFormat(cmd.Flags(), &format, "man", "markdown")
	return cmd
}

// WriteMan writes a man page for the command and each below it into a directory, which
// it makes. Afterwards the commands are of no use: their texts are as Markdown has them.
func WriteMan(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write man pages: %w", err)
	}
	forMarkdown(root)
	header := &doc.GenManHeader{Section: "1", Source: "mapprof", Manual: "mapprof"}
	if v := version.Get(); !v.Date.IsZero() {
		header.Date = &v.Date
	}
	return doc.GenManTree(root, header, dir)
}

// forMarkdown sets what stands indented as code, and adds what help tells beside a
// command.
func forMarkdown(cmd *cobra.Command) {
	cmd.DisableAutoGenTag = true
	long := cmd.Long
	if cmd.CommandPath() == "mapprof run" {
		long += "\n\nWorkloads, whose flags mapprof help WORKLOAD tells:\n\n" + strings.TrimRight(cli.Terms(manWidth, workloads.Summaries()...), "\n")
	}
	var out []string
	for line := range strings.SplitSeq(long, "\n") {
		if strings.HasPrefix(line, "  ") {
			line = "  " + line
			if n := len(out); n > 0 && out[n-1] != "" && !strings.HasPrefix(out[n-1], "    ") {
				out = append(out, "")
			}
		} else {
			line = escape.Replace(line)
		}
		out = append(out, line)
	}
	cmd.Long = strings.Join(out, "\n")
	for _, c := range cmd.Commands() {
		forMarkdown(c)
	}
}

// escape keeps Markdown from taking a C function or a placeholder as its own.
var escape = strings.NewReplacer("*", `\*`, "<", `\<`, "`", "\\`")
