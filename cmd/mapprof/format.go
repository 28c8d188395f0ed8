// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
)

// checkFormat checks --format.
func checkFormat(format string, known ...string) error {
	if slices.Contains(known, format) {
		return nil
	}
	return &usageError{fmt.Errorf("--format %q is not one of %s", format, strings.Join(known, ", "))}
}
