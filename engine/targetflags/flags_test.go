// SPDX-License-Identifier: Apache-2.0

//go:build linux

package targetflags

import (
	"math"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/engine"
)

func parse(t *testing.T, args ...string) *Flags {
	t.Helper()
	f := new(Flags)
	fs := pflag.NewFlagSet("run", pflag.ContinueOnError)
	f.Add(fs, "6.12")
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestWantsVM: what only a VM can follow is never dropped.
func TestWantsVM(t *testing.T) {
	for _, tt := range []struct{ arg, want string }{
		{"--offline", ""}, {"--clock=wall", ""},
		{"--cpus=2", "cpus"}, {"--memory=1GiB", "memory"}, {"--append=preempt=full", "append"}, {"--accel=tcg", "accel"},
		{"--clock=icount", "clock"}, {"--arch=arm64", "arch"}, {"--guest-binary=x", "guest-binary"}, {"--timeout=1m", "timeout"}, {"--console=log", "console"},
	} {
		f := parse(t, tt.arg)
		if got := f.wantsVM(); got != tt.want {
			t.Errorf("%s: %q", tt.arg, got)
		}
		if tt.want == "" {
			continue
		}
		// No kernel is in the cache: that a VM is looked for is what fails.
		t.Setenv("MAPPROF_CACHE", t.TempDir())
		f.Offline = true
		if where, err := f.Find(t.Context(), engine.Where{DefaultKernel: "6.12", Say: func(string) {}}); err == nil {
			t.Errorf("%s: %v, on this machine", tt.arg, where.Kernels())
		}
	}
}

// TestCheck: a zero that is given is none of the defaults, and what a machine
// can't be is refused.
func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, ""},
		{[]string{"--cpus=255"}, ""},
		{[]string{"--cpus=0"}, "--cpus must be from 1 to 255"},
		{[]string{"--cpus=256"}, "--cpus must be from 1 to 255"},
		{[]string{"--timeout=0"}, "--timeout must be more than 0"},
		{[]string{"--timeout=-1s"}, "--timeout must be more than 0"},
		{[]string{"--memory=0"}, "--memory must be more than 0"},
		{[]string{"--memory=255MiB"}, "--memory 255MiB is too little (a kernel and its tracer need 256MiB)"},
		{[]string{"--accel=xen"}, `--accel "xen" is not one of kvm, tcg`},
		{[]string{"--clock=icount"}, ""},
		{[]string{"--clock=icount", "--accel=kvm"}, "--clock icount needs one CPU and TCG (leave out --cpus and --accel)"},
		{[]string{"--target=local", "--clock=wall"}, ""},
		{[]string{"--target=local", "--timeout=1m"}, "--timeout needs --target vm: the local target is this machine as it is"},
	} {
		got := ""
		if err := parse(t, tt.args...).Check(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q: %q, not %q", tt.args, got, tt.want)
		}
	}
}

// TestAllowFor: a limit that is left out has room for the workload and a boot;
// one that is given is kept.
func TestAllowFor(t *testing.T) {
	for _, tt := range []struct {
		args    []string
		atLeast time.Duration
		want    time.Duration // 0: refused
	}{
		{nil, 0, 10 * time.Minute},
		{nil, time.Hour, 70 * time.Minute},
		{nil, math.MaxInt64, math.MaxInt64},
		{[]string{"--timeout=5m"}, 4 * time.Minute, 5 * time.Minute},
		{[]string{"--timeout=5m"}, 6 * time.Minute, 0},
		{[]string{"--timeout=5m", "--clock=icount"}, 6 * time.Minute, 5 * time.Minute}, // a guest's time
	} {
		f := parse(t, tt.args...)
		if err := f.AllowFor(tt.atLeast, 0); (err != nil) != (tt.want == 0) || err == nil && f.Machine.Timeout != tt.want {
			t.Errorf("%q for %v: %v, %v", tt.args, tt.atLeast, f.Machine.Timeout, err)
		}
	}
	for _, tt := range []struct{ setup, want time.Duration }{{time.Hour, 130 * time.Minute}, {math.MaxInt64, math.MaxInt64}} {
		f := parse(t)
		if err := f.AllowFor(time.Hour, tt.setup); err != nil || f.Machine.Timeout != tt.want {
			t.Errorf("a set-up of %v: %v, %v", tt.setup, f.Machine.Timeout, err)
		}
	}
}
