// SPDX-License-Identifier: Apache-2.0

package served

import "testing"

func TestNames(t *testing.T) {
	nobody := func(string) bool { return false }
	anybody := func(string) bool { return true }
	for _, c := range []struct {
		names Names
		host  string
		want  bool
	}{
		{Names{Loopback: true, AnyPort: true, Other: anybody}, "localhost:1234", true},
		{Names{Loopback: true, AnyPort: true, Other: anybody}, "LOCALHOST", true},
		{Names{Loopback: true, AnyPort: true, Other: anybody}, "127.0.0.2:80", true},
		{Names{Loopback: true, AnyPort: true, Other: anybody}, "[::1]:1234", true},
		{Names{Loopback: true, AnyPort: true, Other: anybody}, "[::1]", true},
		{Names{Loopback: true, AnyPort: true, Other: anybody}, "localhost.evil.example:1234", false},
		{Names{Loopback: true, AnyPort: true, Other: anybody}, "192.0.2.1:1234", false},
		{Names{Loopback: true, AnyPort: true, Other: anybody}, "", false},
		{Names{Loopback: true, Port: "1234"}, "localhost:1234", true},
		{Names{Loopback: true, Port: "1234"}, "localhost:1235", false},
		{Names{Loopback: true, Port: "1234"}, "localhost", false},
		{Names{Loopback: true, Port: "80"}, "localhost", true},
		{Names{Loopback: true}, "localhost:1234", false},
		{Names{AnyPort: true, Other: nobody}, "localhost", true},
		{Names{AnyPort: true, Other: nobody}, "evil.example", false},
		{Names{AnyPort: true, Other: anybody}, "my.machine:1234", true},
	} {
		if got := c.names.Has(c.host); got != c.want {
			t.Errorf("%+v, %q: %v", c.names, c.host, got)
		}
	}
}
