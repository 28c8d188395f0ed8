// SPDX-License-Identifier: Apache-2.0

package shownpath

import "strings"

// In returns err with every path that is or begins with the path real shown
// with the path shown instead. A nil err stays nil, and errors.Is and errors.As
// find in it what they found before.
func In(err error, real, shown string) error {
	if err == nil || real == "" {
		return err
	}
	return &shownError{err, real, shown}
}

type shownError struct {
	err         error
	real, shown string
}

func (e *shownError) Error() string { return strings.ReplaceAll(e.err.Error(), e.real, e.shown) }
func (e *shownError) Unwrap() error { return e.err }
