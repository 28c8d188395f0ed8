// SPDX-License-Identifier: Apache-2.0

package results

import "slices"

// Names of a target's clocks, as files and flags have them.
const (
	ClockWall   = "wall"
	ClockICount = "icount"
)

// Clock is all that is known of a clock. Whatever shows one takes it from here.
type Clock struct {
	Name     string
	Sentence string // what its time is
	// Deterministic says that equal runs give equal figures, on any host.
	Deterministic bool
	// Unit is what a nanosecond of it is.
	Unit string
}

// clocks is the table; of each kind, deterministic or not, the first is the one
// that a policy means.
var clocks = []Clock{
	{Name: ClockWall, Sentence: "the host's time", Unit: "ns"},
	{Name: ClockICount, Sentence: "virtual time = instructions executed; one CPU, TCG", Deterministic: true, Unit: "instructions"},
}

// Clocks returns the table, in order.
func Clocks() []Clock { return slices.Clone(clocks) }

// ClockNamed returns the clock of that name.
func ClockNamed(name string) (Clock, bool) {
	i := slices.IndexFunc(clocks, func(c Clock) bool { return c.Name == name })
	if i < 0 {
		return Clock{}, false
	}
	return clocks[i], true
}

// ClockNames returns the names, in order.
func ClockNames() []string {
	names := make([]string, len(clocks))
	for i, c := range clocks {
		names[i] = c.Name
	}
	return names
}

// ClockThatIs returns the clock that is deterministic, or the one that is not.
func ClockThatIs(deterministic bool) Clock {
	return clocks[slices.IndexFunc(clocks, func(c Clock) bool { return c.Deterministic == deterministic })]
}

// Deterministic tells whether the clock of that name is. One that isn't known
// is not.
func Deterministic(clock string) bool {
	c, _ := ClockNamed(clock)
	return c.Deterministic
}
