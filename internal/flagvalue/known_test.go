// SPDX-License-Identifier: Apache-2.0

package flagvalue

import "testing"

// TestNearest: what is meant is found, and nothing where that would be a guess.
func TestNearest(t *testing.T) {
	names := []string{"churn", "lookup", "bigarray", "tasks-trace", "rcu", "table", "json"}
	for name, want := range map[string]string{
		"chrun": "churn", "churm": "churn", "Churn": "churn", "chur": "churn", "big": "bigarray",
		"tasks_trace": "tasks-trace", "taskstrace": "tasks-trace", "tasks": "tasks-trace", "rcv": "rcu",
		"tabel": "table", "jsno": "json", "loookup": "lookup",
		"": "", "x": "", "zz": "", "html": "", "markdown": "", "quux": "",
	} {
		if got := Nearest(name, names); got != want {
			t.Errorf("%q: %q, not %q", name, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "acb", 1},
		{"abc", "abd", 1}, {"abc", "abcd", 1}, {"abc", "bc", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3},
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, not %d", c.a, c.b, got, c.want)
		}
	}
}

func TestOneOf(t *testing.T) {
	for value, want := range map[string]string{
		"json":  "",
		"jsno":  `--format "jsno" is not one of table, json (did you mean json?)`,
		"other": `--format "other" is not one of table, json`,
	} {
		got := ""
		if err := OneOf("format", value, "table", "json"); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q", value, got)
		}
	}
}
