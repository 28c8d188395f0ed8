// SPDX-License-Identifier: Apache-2.0

package workloads

import "testing"

func TestInjectedInstructions(t *testing.T) {
	for text, want := range map[string]float64{
		"":                        0,
		"helper=0.2":              0,
		"syscall=20.8,helper=0.2": 20.8,
		"syscall=0":               0,
	} {
		l := new(Lookups)
		checkArgs(t, l, "--inject-instructions="+text, StrategyNone, "")
		if got, err := l.injected(pathSyscall); got != want || err != nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"syscall", "syscall=", "syscall=x", "syscall=NaN", "syscall=-1", "syscall=1001", "mmap=1", "syscall=1,,"} {
		checkArgs(t, new(Lookups), "--inject-instructions="+text, StrategyNone, "PATH=NUMBER")
	}
}
