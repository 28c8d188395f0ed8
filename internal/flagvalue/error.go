// SPDX-License-Identifier: Apache-2.0

package flagvalue

import (
	"errors"
	"regexp"
	"strings"
)

// goParse is what a parser of Go's library puts before its reason.
var goParse = regexp.MustCompile(`strconv\.\w+: parsing "(?:[^"\\]|\\.)*": `)

// PlainError says what is wrong with a flag's value without naming Go's
// functions.
func PlainError(err error) error {
	return errors.New(strings.ReplaceAll(goParse.ReplaceAllString(err.Error(), ""), "invalid syntax", "not a number"))
}
