// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/internal/flagvalue"
)

// visible calls f with every command that help lists.
func visible(cmd *cobra.Command, f func(*cobra.Command)) {
	for _, c := range cmd.Commands() {
		if !c.Hidden && c.Name() != "completion" {
			f(c)
			visible(c, f)
		}
	}
}

// TestCommandsHaveExamples: each command's help shows how it is called.
func TestCommandsHaveExamples(t *testing.T) {
	n := 0
	visible(newRootCmd(), func(c *cobra.Command) {
		n++
		text := strings.ReplaceAll("\n"+c.Long+"\n"+c.Example, "sudo mapprof", "mapprof")
		if !strings.Contains(text, "\n  "+c.CommandPath()) {
			t.Errorf("%s has no example", c.CommandPath())
		}
	})
	if n < 14 {
		t.Errorf("found only %d commands", n)
	}
}

// TestFlagsAreGrouped: where a command has more flags than a few, help says by groups
// what, where, how much, and what comes of it.
func TestFlagsAreGrouped(t *testing.T) {
	visible(newRootCmd(), func(c *cobra.Command) {
		var outside []string
		n := 0
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Hidden || f.Name == "help" {
				return
			}
			n++
			if flagvalue.GroupOf(f) == flagvalue.Others {
				outside = append(outside, f.Name)
			}
		})
		if n > 10 && len(outside) > 5 {
			t.Errorf("%s has %d flags, and in no group %q", c.CommandPath(), n, outside)
		}
	})
}
