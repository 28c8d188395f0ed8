// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"os"
	"strings"

	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/target/guest"
	"github.com/mapprof/mapprof/target/task"
)

// guestMains are jobs of guests that only tests have and that are no tasks, by
// name.
var guestMains = map[string]func(args []string) error{}

// guestTasks are tasks of guests that only tests have.
var guestTasks = task.Handlers{}

// guestMainArg on a VM's kernel command line names one of them, to be done
// instead of a trial: so a guest goes wrong under the program as it is.
const guestMainArg = "MAPPROF_TEST_GUEST="

// jobName is what this guest is to do.
func jobName() string {
	if os.Args[1] != guest.Command {
		return os.Args[1]
	}
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return os.Args[2]
	}
	for arg := range strings.FieldsSeq(string(cmdline)) {
		if other, ok := strings.CutPrefix(arg, guestMainArg); ok {
			return other
		}
	}
	return os.Args[2]
}

// endGuestJob does what the job of a VM is to do, and ends the process; it
// returns where this is no such job.
func endGuestJob() {
	if guest.InJob() {
		os.Exit(guestJob())
	}
}

func guestJob() int {
	name := jobName()
	var err error
	switch {
	case guestMains[name] != nil:
		err = guestMains[name](os.Args[2:])
	case guestTasks[name] != nil:
		err = guest.Serve(context.Background(), guestTasks, name)
	default:
		return run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	}
	if err != nil {
		cli.PrintError(os.Stderr, err)
		return exitFailure
	}
	return exitOK
}
