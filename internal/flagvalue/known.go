// SPDX-License-Identifier: Apache-2.0

package flagvalue

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

const known = "mapprof_known" // an annotation

// SetKnown keeps with a flag the values that it takes, for a shell to offer.
func SetKnown(fs *pflag.FlagSet, flag string, values ...string) {
	_ = fs.SetAnnotation(flag, known, values) // it exists
}

// KnownOf returns the values that a flag takes, as far as SetKnown was told.
func KnownOf(f *pflag.Flag) []string { return f.Annotations[known] }

// OneOf is an error unless a flag has one of the values that are known.
func OneOf(flag, value string, known ...string) error {
	if slices.Contains(known, value) {
		return nil
	}
	return fmt.Errorf("--%s %q is not one of %s%s", flag, value, strings.Join(known, ", "), DidYouMean(value, known))
}

// DidYouMean is what to add in brackets to an error on a name that isn't known; empty:
// none is like it.
func DidYouMean(name string, known []string) string {
	if nearest := Nearest(name, known); nearest != "" {
		return " (did you mean " + nearest + "?)"
	}
	return ""
}

// Nearest returns the known name that one was most likely meant to be: another case,
// a begin of it, or a third of its letters wrong at most; empty: there is none.
func Nearest(name string, known []string) string {
	name = strings.ToLower(name)
	best, least := "", len(name)/3+1
	for _, k := range known {
		switch d := distance(name, strings.ToLower(k)); {
		case name == "" || len(name) > 64: // which nobody mistypes
		case d < least, d == least && best == "" && len(name) > 1:
			best, least = k, d
		}
	}
	if best != "" || len(name) < 3 {
		return best
	}
	if i := slices.IndexFunc(known, func(k string) bool { return strings.HasPrefix(strings.ToLower(k), name) }); i >= 0 {
		return known[i]
	}
	return ""
}

// distance is that of Damerau and Levenshtein, where no letter is changed twice: letters
// that were added, left out, replaced or swapped with the next.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			wrong := 1
			if a[i-1] == b[j-1] {
				wrong = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+wrong)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
