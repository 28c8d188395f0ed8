// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// noArgs refuses arguments, with a hint what to give instead.
func noArgs(hint string) cobra.PositionalArgs { return atMost(0, hint) }

// atMost refuses more than so many arguments, likewise.
func atMost(n int, hint string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= n {
			return nil
		}
		return &usageError{fmt.Errorf("%s takes no argument %q (%s)", cmd.CommandPath(), args[n], hint)}
	}
}

// someArgs needs at least one argument, with an example of one.
func someArgs(what, example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return nil
		}
		return &usageError{fmt.Errorf("%s needs %s (%[1]s %[3]s)", cmd.CommandPath(), what, example)}
	}
}
