// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/internal/flagvalue"
)

// CompleteKnown has a shell offer the values of each flag that says which it takes, of
// a command and of all below it.
func CompleteKnown(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if _, done := cmd.GetFlagCompletionFunc(f.Name); !done && len(flagvalue.KnownOf(f)) > 0 {
			Complete(cmd, f.Name, func() []string { return flagvalue.KnownOf(f) })
		}
	})
	for _, c := range cmd.Commands() {
		CompleteKnown(c)
	}
}

// Complete has a shell offer the values of a flag that there are at that moment. Where
// the flag takes several with commas between, it offers those that aren't there yet.
func Complete(cmd *cobra.Command, flag string, values func() []string) {
	f := cmd.Flags().Lookup(flag)
	several := slices.Contains([]string{"names", "strings", "stringSlice"}, f.Value.Type())
	_ = cmd.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		before, end := "", cobra.ShellCompDirectiveNoFileComp
		if i := strings.LastIndex(typed, ","); several && i >= 0 {
			before = typed[:i+1]
		}
		var offered []string
		for _, v := range values() {
			if !slices.Contains(strings.Split(before, ","), v) && strings.HasPrefix(before+v, typed) {
				offered = append(offered, before+v)
			}
		}
		if several {
			end |= cobra.ShellCompDirectiveNoSpace
		}
		return offered, end
	}) // the flag exists, and has none yet
}

// FlagError says of a flag that there isn't which one may have been meant.
func FlagError(cmd *cobra.Command, err error) error {
	plain := flagvalue.PlainError(err)
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return plain
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if nearest := flagvalue.Nearest(unknown.GetSpecifiedName(), names); nearest != "" {
		return errors.New(plain.Error() + " (did you mean --" + nearest + "?)")
	}
	return errors.New(plain.Error() + " (" + cmd.CommandPath() + " --help lists its flags)")
}
