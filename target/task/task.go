// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Progress says where a task is. From a guest it is not to be trusted.
type Progress struct {
	Stage string `json:"stage"`
	Done  uint64 `json:"done"`  // of the stage's work
	Total uint64 `json:"total"` // 0: not known
	AtNS  int64  `json:"at_ns"` // since the task's begin
}

// Env is what a task is given beside its request.
type Env struct {
	// Dir is where the task leaves files, if it has any. It doesn't exist yet.
	Dir string
	// OnProgress may be called from any goroutine.
	OnProgress func(Progress)
	// PowersOffAfter tells that the machine goes off when the task has ended,
	// and the probes with it: to detach them one by one takes seconds.
	PowersOffAfter bool
	// Uplink takes results away while the task runs; nil: they wait in Dir for its
	// end.
	Uplink Uplink
	// Become makes a program the machine's PID 1, what it prints going to output, and
	// sends once how the machine is about to go off; it doesn't before the task's
	// results have left. nil: PID 1 can't be had.
	Become func(file string, args, env []string, output io.Writer) (off <-chan string, err error)
	// Programs takes what programs print that the task runs; nil: nobody does.
	Programs io.Writer

	kept []any
}

// Uplink takes a task's results away while it runs: they take no memory where it
// runs, and survive it. Safe for concurrent use; one file at a time.
type Uplink interface {
	// Part begins a part of a file, which comes after those that were sent before.
	// It leaves as it is written; Close ends it.
	Part(name string) (io.WriteCloser, error)
	// Commit sends the files of dir, in place of those that were sent before. With
	// the parts up to now they are the task's result, should it get no further.
	Commit(dir string) error
}

// Output is where the programs' output goes.
func (e *Env) Output() io.Writer {
	if e.Programs == nil {
		return io.Discard
	}
	return e.Programs
}

// KeepAlive keeps something, attached probes say, until the task's results have
// left the machine.
func (e *Env) KeepAlive(v any) { e.kept = append(e.kept, v) }

// Handler does one kind of task on the kernel that it runs on. When ctx is done
// it ends early and returns what it has.
type Handler func(ctx context.Context, env *Env, request []byte) (reply any, err error)

// Handlers are kinds of tasks by name.
type Handlers map[string]Handler

// Warm names the task that a guest's mapprof does before there is a job, where its
// machine is saved then: what it reads, all jobs have read. It is no job's to fail.
const Warm = "warm"

// None is the request or the reply of a task that has none.
type None struct{}

// Handle makes a Handler of a function with a typed request and reply.
func Handle[Request, Reply any](f func(context.Context, *Env, Request) (Reply, error)) Handler {
	return func(ctx context.Context, env *Env, data []byte) (any, error) {
		var request Request
		if err := json.Unmarshal(data, &request); err != nil {
			return nil, fmt.Errorf("read task: %w", err)
		}
		return f(ctx, env, request)
	}
}

// With returns the handlers together with others.
func (h Handlers) With(others ...Handlers) Handlers {
	out := maps.Clone(h)
	for _, o := range others {
		maps.Copy(out, o)
	}
	return out
}

// Do runs the task of that name and returns its reply as JSON.
func (h Handlers) Do(ctx context.Context, name string, env *Env, request []byte) ([]byte, error) {
	f := h[name]
	if f == nil {
		return nil, fmt.Errorf("unknown task %q (known: %s)", name, strings.Join(slices.Sorted(maps.Keys(h)), ", "))
	}
	reply, err := f(ctx, env, request)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(reply)
	if err != nil {
		return nil, fmt.Errorf("task %s: %w", name, err)
	}
	return data, nil
}

// UntilStopped returns a context that ends when stop is closed, too.
func UntilStopped(ctx context.Context, stop <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
