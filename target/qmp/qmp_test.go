// SPDX-License-Identifier: Apache-2.0

//go:build linux

package qmp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fakeQEMU answers the monitor's protocol; it returns what it was asked.
func fakeQEMU(conn net.Conn, events []string, answers map[string]string) {
	fmt.Fprintln(conn, `{"QMP":{"version":{},"capabilities":[]}}`)
	d := json.NewDecoder(conn)
	for {
		var c struct {
			Execute string `json:"execute"`
			ID      int    `json:"id"`
		}
		if d.Decode(&c) != nil {
			return
		}
		for _, e := range events {
			fmt.Fprintln(conn, e)
		}
		events = nil
		a, ok := answers[c.Execute]
		if !ok {
			a = `"return":{}`
		}
		if c.ID != 0 {
			a += fmt.Sprintf(`,"id":%d`, c.ID)
		}
		fmt.Fprintf(conn, "{%s}\n", a)
	}
}

func TestQMP(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	go fakeQEMU(b, []string{`{"event":"STOP"}`, `{"event":"STOP"}`, `{"event":"SHUTDOWN","data":{"reason":"guest-reset"}}`},
		map[string]string{
			"query-cpus": `"return":[1,2]`,
			"quit":       `"error":{"class":"GenericError","desc":"no"}`,
		})
	q := New(a)
	if err := q.Command("query-status", time.Minute); err != nil {
		t.Error(err)
	}
	var cpus []int
	if err := q.Ask("query-cpus", nil, &cpus, time.Minute); err != nil || len(cpus) != 2 {
		t.Errorf("%v, %v", cpus, err)
	}
	if err := q.Ask("query-cpus", nil, new(string), time.Minute); err == nil {
		t.Error("an answer of another kind is taken")
	}
	if err := q.Quit(time.Minute); err == nil || !strings.Contains(err.Error(), "GenericError: no") {
		t.Errorf("got %v", err)
	}
	<-q.Stopped
	if q.ShutdownReason() != "guest-reset" {
		t.Errorf("got %q", q.ShutdownReason())
	}
	b.Close()
	if err := q.Command("quit", time.Minute); err == nil {
		t.Error("a closed monitor answered")
	}
}

// TestGive: the file goes along with the command.
func TestGive(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	defer ours.Close()
	defer theirs.Close()
	q := New(ours)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	given := make(chan error, 1)
	go func() { given <- q.Give("state", write, time.Minute); write.Close() }()

	said, rights := "", []byte(nil)
	raw, err := theirs.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for rights == nil {
		err := raw.Read(func(fd uintptr) bool {
			b, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
			n, on, _, _, err := unix.Recvmsg(int(fd), b, oob, unix.MSG_CMSG_CLOEXEC)
			if err == nil {
				said += string(b[:n])
				if on > 0 {
					rights = oob[:on]
				}
			}
			return !errors.Is(err, unix.EAGAIN)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(said, `"getfd"`) || !strings.Contains(said, `"fdname":"state"`) {
		t.Errorf("asked %q", said)
	}
	if _, err := theirs.WriteString(`{"return":{},"id":1}` + "\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-given; err != nil {
		t.Error(err)
	}
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil || len(messages) != 1 {
		t.Fatalf("%d messages, %v", len(messages), err)
	}
	files, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	got := os.NewFile(uintptr(files[0]), "got")
	if _, err := got.WriteString("memory"); err != nil {
		t.Error(err)
	}
	got.Close()
	if b, err := io.ReadAll(read); err != nil || string(b) != "memory" {
		t.Errorf("%q came by the file that was given, %v", b, err)
	}
}
