// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWriteSection(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file.md")
	for _, c := range []struct{ table, want string }{
		{"# One\n\na\n", "# One\n\na\n"},
		{"# Two\n\nb\n## Part\nc\n", "# One\n\na\n\n# Two\n\nb\n## Part\nc\n"},
		{"# One\n\nlonger\nthan before\n", "# One\n\nlonger\nthan before\n\n# Two\n\nb\n## Part\nc\n"},
		{"# Two\n\nd\n", "# One\n\nlonger\nthan before\n\n# Two\n\nd\n"},
		{"no heading\n", "no heading\n"},
	} {
		if err := WriteSection(path, c.table); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != c.want {
			t.Errorf("%q: %q, %v, want %q", c.table, got, err, c.want)
		}
	}
}

func TestCheckFlat(t *testing.T) {
	taken := func(guest, host uint64) memoryTaken { return memoryTaken{guestLeft: guest << 20, hostPeak: host << 20} }
	for _, c := range []struct {
		name string
		all  []memoryTaken
		want string
	}{
		{"one", []memoryTaken{taken(800, 50)}, ""},
		{"flat", []memoryTaken{taken(800, 50), taken(700, 60)}, ""},
		{"the guest", []memoryTaken{taken(800, 50), taken(600, 50)}, "6.12: the guest's MemAvailable is from 600 MiB to 800 MiB"},
		{"the host", []memoryTaken{taken(800, 61), taken(800, 50)}, "mapprof's memory on the host is from 50 MiB to 61 MiB"},
	} {
		err := checkFlat("6.12", c.all)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestMemoryRefuses(t *testing.T) {
	for _, tt := range []struct {
		m    memory
		want string
	}{
		{memory{}, "--count names none"},
		{memory{counts: []uint{1000, 0}}, "--count must be at least 1"},
		{memory{counts: []uint{1000, 20_000_000}}, "--count must be at most 16777216, not 20000000, unless --no-deaths is given"},
		{memory{counts: []uint{1000, 20_000_000}, noDeaths: true}, ""},
	} {
		if err := tt.m.Check(); (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
			t.Errorf("%v: %v, want %q", tt.m.counts, err, tt.want)
		}
	}
}
