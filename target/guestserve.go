// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/task"
)

const (
	// GuestCommand is the subcommand by which a guest's init starts a task:
	// mapprof guest TASK.
	GuestCommand = "guest"
	// guestRequest is where the host puts a task's request into the initramfs.
	guestRequest = "/mapprof/request.json"

	eventReply     = "reply"      // begins a task's reply
	eventReplyMore = "reply-more" // goes on with it
	eventProgress  = "progress"

	// replyPart is the part of a reply that one event takes.
	replyPart = 32 << 10
)

// ServeGuest does, in a guest's job, the task that the host asked for, and sends
// what it gives: progress, the files of its directory, its reply.
func ServeGuest(ctx context.Context, handlers task.Handlers, name string) error {
	request, err := os.ReadFile(guestRequest)
	if err != nil {
		return fmt.Errorf("read task: %w", err)
	}
	ch, err := OpenGuestChannel()
	if err != nil {
		return err
	}
	defer ch.Close()
	env := &task.Env{Dir: filepath.Join(os.TempDir(), "run"), PowersOffAfter: true, OnProgress: func(p task.Progress) {
		// Progress that can't be sent is no reason to stop; the results
		// that can't be sent are.
		if b, err := json.Marshal(p); err == nil {
			_ = ch.Send(eventProgress, b)
		}
	}}
	defer runtime.KeepAlive(env) // it holds attached probes
	reply, err := handlers.Do(ctx, name, env, request)
	if err != nil {
		return err
	}
	for _, file := range results.Files() {
		err := ch.SendFilePath(file, filepath.Join(env.Dir, file))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	kind := eventReply
	for part := range slices.Chunk(reply, replyPart) {
		if err := ch.Send(kind, part); err != nil {
			return err
		}
		kind = eventReplyMore
	}
	return ch.Done()
}
