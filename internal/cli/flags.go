// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"slices"
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
