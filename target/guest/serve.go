// SPDX-License-Identifier: Apache-2.0

//go:build linux

package guest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/mapprof/mapprof/target/task"
)

const (
	// Command is the subcommand by which a guest's init starts a task:
	// mapprof guest TASK.
	Command = "guest"
	// RequestFile is where the host puts a task's request into the initramfs.
	RequestFile = "/mapprof/request.json"

	EventReply     = "reply"      // begins a task's reply
	EventReplyMore = "reply-more" // goes on with it
	EventProgress  = "progress"
	EventOutput    = "output" // of programs that the task runs

	// replyPart is the part of a reply that one event takes.
	replyPart = 32 << 10
)

// Serve does, in a guest's job, the task that the host asked for, and sends
// what it gives: progress, the files of its directory, its reply. Without the name of a
// task, as the guest's init starts it early, it does task.Warm and waits for the job.
func Serve(ctx context.Context, handlers task.Handlers, args []string) error {
	if len(args) == 0 {
		if handlers[task.Warm] != nil {
			_, _ = handlers.Do(ctx, task.Warm, &task.Env{}, []byte("{}")) // the job has the error, too
		}
		argv, err := AwaitJob()
		if err != nil {
			return err
		}
		args = argv[min(1, len(argv)):]
	}
	if len(args) != 1 {
		return fmt.Errorf("read task: %q is not a task's name", args)
	}
	request, err := os.ReadFile(RequestFile)
	if err != nil {
		return fmt.Errorf("read task: %w", err)
	}
	ch, err := OpenChannel()
	if err != nil {
		return err
	}
	defer ch.Close()
	become, err := successorStarter(ch.Hold)
	if err != nil {
		return err
	}
	env := &task.Env{Become: become, Dir: filepath.Join(os.TempDir(), "run"), PowersOffAfter: true, Uplink: ch, Programs: &output{channel: ch}, OnProgress: func(p task.Progress) {
		// Progress that can't be sent is no reason to stop; the results
		// that can't be sent are.
		if b, err := json.Marshal(p); err == nil {
			_ = ch.Send(EventProgress, b)
		}
	}}
	defer runtime.KeepAlive(env) // it holds attached probes
	reply, err := handlers.Do(ctx, args[0], env, request)
	if err != nil {
		return err
	}
	if err := ch.sendRun(env.Dir); err != nil {
		return err
	}
	kind := EventReply
	for part := range slices.Chunk(reply, replyPart) {
		if err := ch.Send(kind, part); err != nil {
			return err
		}
		kind = EventReplyMore
	}
	return ch.Done()
}

// MaxOutput is how much of what a program prints is shown. A piece more is sent, so
// that the host can say that there was more.
const MaxOutput = 16 << 20

// output sends what programs print. One goroutine.
type output struct {
	channel *Channel
	sent    int
}

// Write implements io.Writer. What can't be sent is no reason for the program to fail.
func (o *output) Write(p []byte) (int, error) {
	for part := range slices.Chunk(p, replyPart) {
		if o.sent > MaxOutput {
			break
		}
		o.sent += len(part)
		_ = o.channel.Send(EventOutput, part)
	}
	return len(p), nil
}
