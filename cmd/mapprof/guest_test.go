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

// guestMain is what the kernel's command line names of them; empty: none.
func guestMain() string {
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return ""
	}
	for arg := range strings.FieldsSeq(string(cmdline)) {
		if other, ok := strings.CutPrefix(arg, guestMainArg); ok {
			return other
		}
	}
	return ""
}

// endGuestJob does what the job of a VM is to do, and ends the process; it
// returns where this is no such job.
func endGuestJob() {
	if guest.InJob() {
		os.Exit(guestJob())
	}
}

func guestJob() int {
	args := os.Args[1:]
	var err error
	if len(args) == 1 && args[0] == guest.Command && guestMain() != "" {
		args, err = guest.AwaitJob()
	}
	if name := guestMain(); err == nil && name != "" && args[0] == guest.Command {
		args = []string{guest.Command, name} // whatever it was to do
		if guestMains[name] != nil {
			args = args[1:]
		}
	}
	switch {
	case err != nil:
	case guestMains[args[0]] != nil:
		err = guestMains[args[0]](args[1:])
	case args[0] == guest.Command:
		ctx, stop := cli.WithSignals(context.Background())
		defer stop()
		err = guest.Serve(ctx, handlers().With(guestTasks), args[1:])
	default:
		return run(context.Background(), args, os.Stdin, os.Stdout, os.Stderr)
	}
	if err != nil {
		cli.PrintError(os.Stderr, err)
		return exitFailure
	}
	return exitOK
}
