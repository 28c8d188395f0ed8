// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// signals are those that end a command: SIGHUP comes where a terminal goes away, an ssh
// that is dropped say.
var signals = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}

type seenKey struct{}

// SignalsSeen returns a context in which the first signal is kept that comes while a
// command handles signals, and a function that returns the exit code by which a shell
// knows it, 128 and the signal's number; 0: none came.
func SignalsSeen(ctx context.Context) (seen context.Context, code func() int) {
	first := new(atomic.Int64)
	return context.WithValue(ctx, seenKey{}, first), func() int {
		if n := int(first.Load()); n != 0 {
			return 128 + n
		}
		return 0
	}
}

func see(ctx context.Context, s os.Signal) {
	first, ok := ctx.Value(seenKey{}).(*atomic.Int64)
	if number, isNumber := s.(syscall.Signal); ok && isNumber {
		first.CompareAndSwap(0, int64(number))
	}
}

// WithSignals returns a context that a signal cancels.
func WithSignals(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop, cancel := WithInterrupt(ctx)
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// WithInterrupt makes the first signal close stop and the second cancel the
// context. One that comes after the command has ended by a signal is ignored: it must not
// take the place of the exit code.
func WithInterrupt(ctx context.Context) (context.Context, <-chan struct{}, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := make(chan struct{})
	came := make(chan os.Signal, 2)
	signal.Notify(came, signals...)
	go func() {
		select {
		case s := <-came:
			see(ctx, s)
			close(stop)
		case <-ctx.Done():
			return
		}
		select {
		case <-came:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, stop, func() {
		select {
		case <-stop:
		default:
			signal.Stop(came)
		}
		cancel()
	}
}
