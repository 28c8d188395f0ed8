// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// NoArgs refuses arguments, with a hint what to give instead.
func NoArgs(hint string) cobra.PositionalArgs { return AtMost(0, hint) }

// AtMost refuses more than so many arguments, likewise.
func AtMost(n int, hint string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= n {
			return nil
		}
		return fmt.Errorf("%s takes no argument %q (%s)", cmd.CommandPath(), args[n], hint)
	}
}

// SomeArgs needs at least one argument, with an example of one.
func SomeArgs(what, example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return nil
		}
		return fmt.Errorf("%s needs %s (%[1]s %[3]s)", cmd.CommandPath(), what, example)
	}
}
