// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/mapprof/mapprof/internal/flagvalue"

// checkFormat checks --format.
func checkFormat(format string, known ...string) error {
	if err := flagvalue.OneOf("format", format, known...); err != nil {
		return &usageError{err}
	}
	return nil
}
