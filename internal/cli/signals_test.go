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
		ctx, stop, cancel := WithInterrupt(t.Context())
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
		cancel()
	}
}
