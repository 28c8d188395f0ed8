// SPDX-License-Identifier: Apache-2.0

package flagvalue

import "github.com/spf13/pflag"

const group = "mapprof_group" // an annotation

// Groups of flags, in the order in which help lists them.
const (
	What     = "What"
	Where    = "Where"
	HowMuch  = "How much"
	Output   = "Output"
	SelfTest = "Self-test"
	Others   = "Flags" // in no group
)

// Groups lists them.
func Groups() []string { return []string{What, Where, HowMuch, Output, SelfTest, Others} }

// SetGroup puts flags into a group.
func SetGroup(fs *pflag.FlagSet, name string, flags ...string) {
	for _, f := range flags {
		_ = fs.SetAnnotation(f, group, []string{name}) // it exists
	}
}

// GroupOf is the group of a flag.
func GroupOf(f *pflag.Flag) string {
	if in := f.Annotations[group]; len(in) > 0 {
		return in[0]
	}
	return Others
}
