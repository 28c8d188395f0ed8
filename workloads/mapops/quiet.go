// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/mapprof/mapprof/workloads"
	"golang.org/x/sys/unix"
)

// quietSlack is how late another thread's timer may be while something short is
// timed, in nanoseconds.
const quietSlack = "100000000"

// quiet lets the timers of this process's other threads be late until the
// returned function is called. The Go runtime's monitor wakes every 20 µs
// while a thread is in the kernel: on one CPU each batch of lookups would hold
// such interrupts or not, by chance. Where it fails nothing is changed, and the
// returned function does nothing.
func quiet() (restore func() error, err error) {
	tasks, err := filepath.Glob("/proc/self/task/[0-9]*")
	before := map[string]string{} // by file
	restore = func() error {
		var errs []error
		for file, slack := range before {
			errs = append(errs, setSlack(file, slack))
		}
		return errors.Join(errs...)
	}
	for _, task := range tasks {
		file := filepath.Join("/proc", filepath.Base(task), "timerslack_ns")
		slack, err := os.ReadFile(file)
		if err == nil {
			err = setSlack(file, quietSlack)
		}
		if errors.Is(err, os.ErrNotExist) {
			continue // the thread has ended
		}
		if err != nil {
			err = errors.Join(fmt.Errorf("keep other threads' timers away: %w", err), restore())
			clear(before)
			return restore, err
		}
		before[file] = strings.TrimSpace(string(slack))
	}
	return restore, err
}

// goFirst puts this thread before others until the returned function is called. On one
// CPU a worker of the kernel would run in the midst of what is timed, or not, by chance;
// where there are more it runs elsewhere.
func goFirst() (restore func() error, err error) {
	nothing := func() error { return nil }
	if runtime.NumCPU() > 1 {
		return nothing, nil
	}
	before, err := unix.SchedGetAttr(0, 0)
	if err == nil {
		err = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0)
	}
	if err != nil {
		return nothing, fmt.Errorf("put the measuring thread before others: %w", err)
	}
	return func() error { return unix.SchedSetAttr(0, before, 0) }, nil
}

// WhileQuiet runs f while the timers of this process's other threads may be late, and on
// one CPU the calling thread, which is locked, goes before others. Where that can't be,
// f runs all the same, and the result has a warning.
func WhileQuiet(r *workloads.Result, f func() error) error {
	onTime, err := quiet()
	asBefore, errFirst := goFirst()
	for _, err := range []error{err, errFirst} {
		if err != nil {
			r.Warnings = append(r.Warnings, err.Error())
		}
	}
	return errors.Join(f(), asBefore(), onTime())
}

func setSlack(file, ns string) error {
	err := os.WriteFile(file, []byte(ns), 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
