// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"encoding/json"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/mapprof/mapprof/target/wire"
)

// qmp speaks QEMU's machine protocol: one command and two events of it.
// Commands are not safe for concurrent use.
type qmp struct {
	w       io.Writer
	id      int
	replies chan qmpReply
	// stopped is closed when QEMU stops the machine by itself, as it does
	// on an internal error of KVM, and then waits for ever.
	stopped chan struct{}
	ended   chan struct{} // closed when the monitor is
	reason  atomic.Value  // string: why the machine went off
}

type qmpReply struct {
	ID    int    `json:"id"`
	Event string `json:"event"`
	Data  struct {
		Reason string `json:"reason"`
	} `json:"data"`
	Error *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
}

// newQMP opens the protocol and follows events until conn ends; the reader
// goroutine ends with it.
func newQMP(conn io.ReadWriter) *qmp {
	q := &qmp{w: conn, replies: make(chan qmpReply, 16),
		stopped: make(chan struct{}), ended: make(chan struct{})}
	go q.read(conn)
	// QEMU sends events only to those who negotiated; its answer has id 0,
	// which nobody waits for. A failure shows in the next command.
	_, _ = io.WriteString(conn, "{\"execute\":\"qmp_capabilities\"}\n")
	return q
}

func (q *qmp) read(r io.Reader) {
	defer close(q.ended)
	d := json.NewDecoder(r)
	halted := false
	for {
		var m qmpReply
		if d.Decode(&m) != nil {
			return
		}
		switch {
		case m.Event == "STOP" && !halted:
			halted = true
			close(q.stopped)
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
func (q *qmp) ShutdownReason() string {
	if s, _ := q.reason.Load().(string); s != "" {
		return s
	}
	return "no reason given"
}

func (q *qmp) command(name string, limit time.Duration) error {
	q.id++
	if _, err := fmt.Fprintf(q.w, "{\"execute\":%q,\"id\":%d}\n", name, q.id); err != nil {
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
			return nil
		case <-q.ended:
			return fmt.Errorf("ask qemu to %s: it closed its monitor", name)
		case <-t.C:
			return fmt.Errorf("ask qemu to %s: no answer in %s", name, limit)
		}
	}
}

// Quit ends QEMU.
func (q *qmp) Quit(limit time.Duration) error {
	return q.command("quit", limit)
}
