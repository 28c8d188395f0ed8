// SPDX-License-Identifier: Apache-2.0

//go:build unix

package cli

import (
	"syscall"
	"testing"
	"time"
)

// TestSignals: each signal that a user or a lost terminal sends ends a run early
// and keeps what there is; a second one ends it at once.
func TestSignals(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		seen, code := SignalsSeen(t.Context())
		ctx, stop, cancel := WithInterrupt(seen)
		if code() != 0 {
			t.Errorf("exit code %d before %v", code(), signal)
		}
		for _, c := range []struct {
			name string
			ends <-chan struct{}
		}{{"stop", stop}, {"the context", ctx.Done()}} {
			if err := syscall.Kill(syscall.Getpid(), signal); err != nil {
				t.Fatal(err)
			}
			select {
			case <-c.ends:
			case <-time.After(10 * time.Second):
				t.Errorf("%v doesn't end %s", signal, c.name)
			}
		}
		if want := 128 + int(signal); code() != want {
			t.Errorf("%v: exit code %d, not %d", signal, code(), want)
		}
		cancel()
	}
}

// TestOneSignal: of a command that has nothing to keep, the first one ends all, and its
// code is the first one's.
func TestOneSignal(t *testing.T) {
	seen, code := SignalsSeen(t.Context())
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		ctx, cancel := WithSignals(seen)
		if err := syscall.Kill(syscall.Getpid(), signal); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
			t.Errorf("%v doesn't end the context", signal)
		}
		cancel()
		// This process would end.
		if err := syscall.Kill(syscall.Getpid(), signal); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		if code() != 143 {
			t.Errorf("after %v: exit code %d", signal, code())
		}
	}
}
