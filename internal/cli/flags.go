// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/internal/flagvalue"
)

// Alone refuses flags that were given and mean nothing beside another: all of
// these but itself and some.
func Alone(flag string, all []string, given func(name string) bool, but ...string) error {
	for _, name := range all {
		if name != flag && !slices.Contains(but, name) && given(name) {
			return fmt.Errorf("--%s means nothing with --%s", name, flag)
		}
	}
	return nil
}

// AddFormat registers --format, whose default is the first of the values.
func AddFormat(fs *pflag.FlagSet, format *string, values ...string) {
	last := len(values) - 1
	fs.StringVar(format, "format", values[0], strings.Join(values[:last], ", ")+" or "+values[last])
	flagvalue.SetKnown(fs, "format", values...)
}
