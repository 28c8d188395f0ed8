// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// The observer that isn't BPF: the kernel's own function tracer, for the
// figures that mapprof is held against. It is used in guests only, which
// nobody shares.

const tracefs = "/sys/kernel/tracing/"

// ftraceCall is one call of a traced function.
type ftraceCall struct {
	AtNS     int64 // CLOCK_MONOTONIC, in steps of 1 µs
	Function string
	Parent   string // that called it
}

// startFtrace traces those of the functions that this kernel has. It is an
// error if it has none.
func startFtrace(functions ...string) (err error) {
	known, err := os.ReadFile(tracefs + "available_filter_functions")
	if err != nil {
		return fmt.Errorf("start the function tracer: %w", err)
	}
	text := "\n" + string(known)
	missing := func(f string) bool { return !strings.Contains(text, "\n"+f+"\n") }
	filter := slices.DeleteFunc(slices.Clone(functions), missing)
	if len(filter) == 0 {
		return fmt.Errorf("start the function tracer: this kernel has no %s", strings.Join(functions, ", "))
	}
	return writeTracefs("tracing_on", "0", "trace_clock", "mono", "buffer_size_kb", "16384", "trace", "",
		"set_ftrace_filter", strings.Join(filter, " "), "current_tracer", "function", "tracing_on", "1")
}

// ftraceCalls returns the calls so far, in order.
func ftraceCalls() ([]ftraceCall, error) {
	f, err := os.Open(tracefs + "trace")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseFtrace(f)
}

// writeTracefs takes files and what to write to them, in turn.
func writeTracefs(pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if err := os.WriteFile(tracefs+pairs[i], []byte(pairs[i+1]), 0o644); err != nil {
			return fmt.Errorf("set up the function tracer: %w", err)
		}
	}
	return nil
}

// parseFtrace reads lines like
// "init-81 [000] d..1. 3.141592: call_rcu <-bpf_map_put".
func parseFtrace(r io.Reader) ([]ftraceCall, error) {
	var calls []ftraceCall
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		if n, ok := strings.CutPrefix(sc.Text(), "# entries-in-buffer/entries-written: "); ok {
			n, _, _ = strings.Cut(n, " ")
			if kept, written, _ := strings.Cut(n, "/"); kept != written {
				return nil, fmt.Errorf("the function tracer kept %s of %s calls", kept, written)
			}
		}
		at := strings.LastIndex(sc.Text(), ": ") // a task's name may hold one
		function, parent, isCall := strings.Cut(sc.Text()[at+1:], " <-")
		if at < 0 || !isCall || strings.HasPrefix(sc.Text(), "#") {
			continue
		}
		fields := strings.Fields(sc.Text()[:at])
		seconds, micros, _ := strings.Cut(fields[len(fields)-1], ".")
		s, err1 := strconv.ParseInt(seconds, 10, 64)
		us, err2 := strconv.ParseInt(micros, 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("%q: %w", sc.Text(), err)
		}
		calls = append(calls, ftraceCall{AtNS: s*1e9 + us*1e3, Function: strings.TrimSpace(function), Parent: parent})
	}
	return calls, sc.Err()
}
