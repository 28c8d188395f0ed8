// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tableSize is how many file descriptors the process's table holds.
func tableSize(t *testing.T) (n uint64) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "FDSize:")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestReserveFDs(t *testing.T) {
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := open()
	want := 2*tableSize(t) + 1
	if err := ReserveFDs(want); err != nil {
		t.Fatal(err)
	}
	if got := tableSize(t); got < want {
		t.Errorf("the table holds %d, want %d", got, want)
	}
	if got := open(); got != before {
		t.Errorf("%d descriptors are open, %d were", got, before)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	lower := unix.Rlimit{Cur: min(limit.Cur, 4096), Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lower); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}()
	if err := ReserveFDs(math.MaxInt64); err != nil {
		t.Errorf("more than the limit: %v", err)
	}
}
