// SPDX-License-Identifier: Apache-2.0

package flagvalue

import "strings"

// Names is a flag's value: some names, with commas between. Unlike pflag's
// slices it prints what it parses.
type Names []string

// Set replaces what there is.
func (n *Names) Set(s string) error {
	*n = strings.Split(s, ",")
	return nil
}

// String joins the names.
func (n *Names) String() string { return strings.Join(*n, ",") }

// Type names the value in the help text.
func (n *Names) Type() string { return "names" }
