// SPDX-License-Identifier: Apache-2.0

//go:build linux

package qmp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mapprof/mapprof/target/wire"
	"golang.org/x/sys/unix"
)

// Monitor is one QEMU's.
// Commands are not safe for concurrent use.
type Monitor struct {
	w       io.Writer
	id      int
	replies chan reply
	// Stopped has one when the machine is stopped, as QEMU does on an internal error of
	// KVM, and then waits for ever.
	Stopped chan struct{}
	ended   chan struct{} // closed when the monitor is
	reason  atomic.Value  // string: why the machine went off
	rights  []byte        // a descriptor that goes with the next command
}

type reply struct {
	ID    int    `json:"id"`
	Event string `json:"event"`
	Data  struct {
		Reason string `json:"reason"`
	} `json:"data"`
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
}

// New opens the protocol and follows events until conn ends; the reader
// goroutine ends with it.
func New(conn io.ReadWriter) *Monitor {
	q := &Monitor{w: conn, replies: make(chan reply, 16),
		Stopped: make(chan struct{}, 1), ended: make(chan struct{})}
	go q.read(conn)
	// QEMU sends events only to those who negotiated; its answer has id 0,
	// which nobody waits for. A failure shows in the next command.
	_, _ = io.WriteString(conn, "{\"execute\":\"qmp_capabilities\"}\n")
	return q
}

func (q *Monitor) read(r io.Reader) {
	defer close(q.ended)
	d := json.NewDecoder(r)
	for {
		var m reply
		if d.Decode(&m) != nil {
			return
		}
		switch {
		case m.Event == "STOP":
			select {
			case q.Stopped <- struct{}{}:
			default: // it is known already
			}
		case m.Event == "SHUTDOWN":
			q.reason.Store(wire.Printable(m.Data.Reason, 40))
		case m.ID != 0:
			select {
			case q.replies <- m:
			default: // more than was asked for
			}
		}
	}
}

// ShutdownReason returns why QEMU says that the machine went off:
// "guest-shutdown", "guest-reset" (a panic, or a triple fault), …
func (q *Monitor) ShutdownReason() string {
	if s, _ := q.reason.Load().(string); s != "" {
		return s
	}
	return "no reason given"
}

// Command has QEMU carry out a command that has no answer.
func (q *Monitor) Command(name string, limit time.Duration) error {
	return q.Ask(name, nil, nil, limit)
}

// Ask has QEMU carry out a command, and decodes its answer where there is a place for it.
func (q *Monitor) Ask(name string, arguments map[string]any, answer any, limit time.Duration) error {
	q.id++
	command, err := json.Marshal(struct {
		Execute   string         `json:"execute"`
		ID        int            `json:"id"`
		Arguments map[string]any `json:"arguments,omitempty"`
	}{name, q.id, arguments})
	if err == nil {
		err = q.write(append(command, '\n'))
	}
	if err != nil {
		return fmt.Errorf("ask qemu to %s: %w", name, err)
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	for {
		select {
		case r := <-q.replies:
			if r.ID != q.id {
				continue
			}
			if r.Error != nil {
				return fmt.Errorf("ask qemu to %s: %s: %s", name, r.Error.Class, r.Error.Desc)
			}
			if answer == nil {
				return nil
			}
			if err := json.Unmarshal(r.Return, answer); err != nil {
				return fmt.Errorf("ask qemu to %s: %w", name, err)
			}
			return nil
		case <-q.ended:
			return fmt.Errorf("ask qemu to %s: it closed its monitor", name)
		case <-t.C:
			return fmt.Errorf("ask qemu to %s: no answer in %s", name, limit)
		}
	}
}

func (q *Monitor) write(command []byte) error {
	conn, ok := q.w.(syscall.Conn)
	if !ok || q.rights == nil {
		_, err := q.w.Write(command)
		return err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Write(func(fd uintptr) bool {
		sent = unix.Sendmsg(int(fd), command, q.rights, nil, unix.MSG_NOSIGNAL)
		return !errors.Is(sent, unix.EAGAIN)
	})
	return errors.Join(err, sent)
}

// Give hands a file to QEMU, which knows it by a name from then on.
func (q *Monitor) Give(name string, file *os.File, limit time.Duration) error {
	q.rights = unix.UnixRights(int(file.Fd()))
	defer func() { q.rights = nil }()
	return q.Ask("getfd", map[string]any{"fdname": name}, nil, limit)
}

// Quit ends QEMU.
func (q *Monitor) Quit(limit time.Duration) error {
	return q.Command("quit", limit)
}
