// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/target/kernels"
	"github.com/mapprof/mapprof/target/task"
)

// A guest's progress reaches the terminal without what would make it do
// something.
func TestDecodeProgress(t *testing.T) {
	p, ok := decodeProgress([]byte(`{"stage":"mea\u001b[2Jsure\u009b1m\n\r","done":3,"total":5}`))
	if want := (task.Progress{Stage: "measure  ", Done: 3, Total: 5}); !ok || p != want {
		t.Errorf("%+v %v, want %+v", p, ok, want)
	}
	if p, ok := decodeProgress([]byte(`{"stage":"x","done":-1}`)); ok || p != (task.Progress{}) {
		t.Errorf("%+v %v", p, ok)
	}
}

// TestLocal: a task done in this process takes and gives what one in a guest
// does.
func TestLocal(t *testing.T) {
	type request struct{ N int }
	local := Local{Release: "6.99", Handlers: task.Handlers{
		"double": task.Handle(func(_ context.Context, env *task.Env, r request) (int, error) {
			env.OnProgress(task.Progress{Stage: "doubling"})
			return 2 * r.N, nil
		}),
		"wait": task.Handle(func(ctx context.Context, _ *task.Env, _ task.None) (string, error) {
			<-ctx.Done()
			return "stopped", nil
		}),
		"fail": task.Handle(func(context.Context, *task.Env, task.None) (task.None, error) {
			return task.None{}, errors.New("no such thing")
		}),
	}}
	said := ""
	got, done, err := Call[int](t.Context(), local, 0, Work{Task: "double", Request: request{21}, OnProgress: func(p task.Progress) { said += p.Stage }})
	if err != nil || got != 42 || said != "doubling" || len(done.Outcome.Warnings) > 0 {
		t.Errorf("%d %q %v", got, said, err)
	}
	stop := make(chan struct{})
	close(stop)
	if got, _, err := Call[string](t.Context(), local, 0, Work{Task: "wait", Request: task.None{}, Stop: stop}); err != nil || got != "stopped" {
		t.Errorf("%q %v", got, err)
	}
	for _, c := range []struct {
		w    Work
		want string
	}{
		{Work{Task: "fail", Request: task.None{}}, "no such thing"},
		{Work{Task: "fly"}, `unknown task "fly" (known: double, fail, wait)`},
		{Work{Task: "double", Request: "x"}, "read task"},
		{Work{Task: "double", Files: map[string][]byte{"/x": nil}}, "takes no files"},
	} {
		if _, err := local.Do(t.Context(), 0, c.w); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.w, err, c.want)
		}
	}
	if k := local.Kernels(); len(k) != 1 || k[0] != "6.99" {
		t.Errorf("kernels %q", k)
	}
}

func TestVMKernels(t *testing.T) {
	vm := &VM{Images: []kernels.Kernel{{Release: "6.1"}, {Release: "6.12"}, {Release: "6.1"}}}
	if got := strings.Join(vm.Kernels(), " "); got != "6.1 6.12 6.1#2" {
		t.Errorf("%q", got)
	}
}

// TestProgressRate: what a guest says of its progress is bounded, at once and over
// time, and a trial says less.
func TestProgressRate(t *testing.T) {
	at := time.Unix(1000, 0)
	p := progressRate{left: progressBurst}
	passed := func(n int, every time.Duration) (count int) {
		for range n {
			if p.take(at) {
				count++
			}
			at = at.Add(every)
		}
		return count
	}
	if got := passed(10000, 0); got != progressBurst {
		t.Errorf("at once: %d", got)
	}
	if got := passed(10000, time.Millisecond); got < 90 || got > 110 { // ten seconds
		t.Errorf("in ten seconds: %d", got)
	}
	at = at.Add(time.Hour)
	if got := passed(1000, 0); got != progressBurst {
		t.Errorf("after an hour: %d", got)
	}
	at = at.Add(time.Second)
	if got := passed(600, time.Second); got != 600 {
		t.Errorf("one a second: %d", got)
	}
}

// TestJobFault: a guest that is told to stop before its mapprof listens is not one that
// failed.
func TestJobFault(t *testing.T) {
	for _, tt := range []struct {
		outcome Outcome
		want    string
	}{
		{Outcome{ExitCode: 130, Signal: "interrupt"}, ErrStopped.Error()},
		{Outcome{ExitCode: 130, Signal: "interrupt", Message: "panic: x"}, "the guest's mapprof failed: panic: x"},
		{Outcome{ExitCode: 1, Message: "mapprof: no kernel"}, "the guest's mapprof failed: no kernel"},
		{Outcome{ExitCode: 137, Signal: "killed"}, "the guest's mapprof failed: exit code 137"},
	} {
		err := jobFault(&tt.outcome)
		if err.Error() != tt.want || errors.Is(err, ErrStopped) != (tt.want == ErrStopped.Error()) {
			t.Errorf("%+v: %v, want %s", tt.outcome, err, tt.want)
		}
	}
}
