// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"fmt"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/spf13/pflag"
)

// MeasuredBy is the command that measures again, with the flags that were
// given.
func MeasuredBy(command string, flags *pflag.FlagSet, args ...string) string {
	words := []string{command}
	flags.Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if slice, ok := f.Value.(pflag.SliceValue); ok {
			values = slice.GetSlice()
			if f.Value.Type() != "stringArray" {
				values = []string{strings.Join(values, ",")}
			}
		}
		for _, v := range values {
			if f.Name != "out" {
				words = append(words, "--"+f.Name+"="+safetext.ShellWord(v))
			}
		}
	})
	return fmt.Sprintf("Measured by:\n\n```console\n$ %s\n```\n", strings.Join(append(words, args...), " "))
}
