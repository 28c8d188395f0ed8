// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vmtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/guest"
	"github.com/mapprof/mapprof/target/kernels"
	_ "github.com/mapprof/mapprof/target/kernels/debian" // where kernels come from
	"github.com/mapprof/mapprof/target/task"
)

// Main runs the package's tests on the host. In a VM, where the test binary is the
// init, it does tasks by handlers instead. It doesn't return.
func Main(m *testing.M, handlers task.Handlers) {
	guest.Init()
	if guest.InJob() {
		os.Exit(serve(handlers))
	}
	os.Exit(m.Run())
}

func serve(handlers task.Handlers) int {
	if len(os.Args) < 2 || os.Args[1] != guest.Command {
		fmt.Fprintf(os.Stderr, "vmtest: unknown job %q\n", os.Args[1:])
		return 2
	}
	if err := guest.Serve(context.Background(), handlers, os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// Kernels are the series that tests of every kernel boot: those of
// MAPPROF_TEST_KERNELS, with blanks between, or one of each kind.
func Kernels() []string {
	if list := strings.Fields(os.Getenv("MAPPROF_TEST_KERNELS")); len(list) > 0 {
		return list
	}
	return []string{"5.10", "6.1", "6.12", "7.2"}
}

// Kernel is the newest kernel of a series.
func Kernel(t testing.TB, series string) kernels.Kernel {
	t.Helper()
	k, err := kernels.Resolve(t.Context(), series, kernels.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// VM is a target with the newest kernel of a series, on a machine that change
// may alter.
func VM(t testing.TB, series string, change ...func(*target.Machine)) *target.VM {
	t.Helper()
	vm := &target.VM{Machine: target.Machine{Timeout: 5 * time.Minute}, Images: []kernels.Kernel{Kernel(t, series)}}
	for _, f := range change {
		f(&vm.Machine)
	}
	return vm
}

// Call does a task on the target's first kernel, with more files there, and returns its
// reply. That it fails ends the test.
func Call[Reply any](t testing.TB, vm *target.VM, name string, request any, files ...map[string][]byte) Reply {
	t.Helper()
	work := target.Work{Task: name, Request: request, Files: map[string][]byte{}}
	for _, f := range files {
		maps.Copy(work.Files, f)
	}
	reply, done, err := target.Call[Reply](t.Context(), vm, 0, work)
	for _, w := range done.Outcome.Warnings {
		t.Logf("%s: %s", vm.Kernels()[0], w)
	}
	if err != nil {
		var guest *target.GuestError
		if errors.As(err, &guest) && guest.ConsoleTail != "" {
			t.Logf("%s: console:\n%s", name, guest.ConsoleTail)
		}
		t.Fatalf("%s: %v", name, err)
	}
	return reply
}
