// SPDX-License-Identifier: Apache-2.0

//go:build vm

package mapops

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/target/task"
)

const tableTask = "grow-table"

// grown tells by whose calls synchronize_rcu() was entered, as the kernel's function
// tracer saw it: a stack each, innermost function first.
type grown struct{ Reserving, Opening, Growing []string }

const tracefs = "/sys/kernel/tracing/"

// traceGrowth reserves descriptors, opens as many, and more.
func traceGrowth(context.Context, *task.Env, task.None) (g grown, err error) {
	const reserved = 3000
	for _, set := range [][2]string{{"set_ftrace_filter", "synchronize_rcu"}, {"current_tracer", "function"}, {"options/func_stack_trace", "1"}} {
		if err := os.WriteFile(tracefs+set[0], []byte(set[1]), 0); err != nil {
			return g, err
		}
	}
	open := func(n int) error {
		for range n {
			if _, err := unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
				return err
			}
		}
		return nil
	}
	for _, step := range []struct {
		stacks *[]string
		do     func() error
	}{
		{&g.Reserving, func() error { return ReserveFDs(reserved) }},
		{&g.Opening, func() error { return open(reserved / 2) }},
		{&g.Growing, func() error { return open(4 * reserved) }},
	} {
		if err := os.WriteFile(tracefs+"trace", nil, 0); err != nil { // empties it
			return g, err
		}
		derr := step.do()
		text, err := os.ReadFile(tracefs + "trace")
		if err := errors.Join(derr, err); err != nil {
			return g, err
		}
		for _, stack := range strings.Split(string(text), "<stack trace>\n")[1:] {
			var functions []string
			for line := range strings.Lines(stack) {
				if f, ok := strings.CutPrefix(line, " => "); ok {
					functions = append(functions, strings.TrimSpace(f))
				}
			}
			*step.stacks = append(*step.stacks, strings.Join(functions, " < "))
		}
	}
	return g, nil
}

// TestVMTableOfDescriptors: that a table of descriptors grows is a wait in
// synchronize_rcu(), seen by the kernel's function tracer, and ReserveFDs takes it
// ahead: while so many are opened there is none.
func TestVMTableOfDescriptors(t *testing.T) {
	got := vmtest.Call[grown](t, vmtest.VM(t, "6.12"), tableTask, task.None{})
	of := func(stacks []string) (n int) {
		for _, s := range stacks {
			// The growth itself is inlined into one of these.
			if strings.Contains(s, "expand_fdtable") || strings.Contains(s, "expand_files") {
				n++
				t.Log(s)
			}
		}
		return n
	}
	if r, o, g := of(got.Reserving), of(got.Opening), of(got.Growing); r != 1 || o != 0 || g == 0 {
		t.Errorf("%d waits for a larger table while reserving, %d while opening, %d past that: %q", r, o, g, got)
	}
}
