// SPDX-License-Identifier: Apache-2.0

//go:build linux

package guest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/wire"
)

// channelToHost is a job's channel, and what a host has of it when it is closed.
func channelToHost(t *testing.T, out string) (*Channel, func(done string) *wire.Receiver) {
	t.Helper()
	sp, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	frames := make(chan []byte)
	go func() {
		defer unix.Close(sp[0])
		var stream []byte
		seq := uint32(0)
		add := func(ft wire.FrameType, payload []byte) {
			var err error
			if stream, err = wire.AppendFrame(stream, ft, seq, payload); err != nil {
				t.Error(err)
			}
			seq++
		}
		add(wire.FrameHello, []byte("{}"))
		add(wire.FrameStarted, nil)
		buf := make([]byte, 1+wire.MaxPayload)
		for {
			n, _, flags, _, err := unix.Recvmsg(sp[0], buf, nil, 0)
			if err != nil || n == 0 {
				break
			}
			if ft := wire.FrameType(buf[0]); !ft.FromJob() || flags&unix.MSG_TRUNC != 0 {
				t.Errorf("%s frame of %d bytes from a job", ft, n)
			}
			add(wire.FrameType(buf[0]), buf[1:n])
		}
		frames <- stream
	}()
	c := &Channel{fd: sp[1]}
	return c, func(done string) *wire.Receiver {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		stream := <-frames
		if done != "" {
			// Its number is how many came before.
			n := uint32(0)
			for r := wire.NewFrameReader(bytes.NewReader(stream)); ; n++ {
				if _, _, err := r.Next(); err != nil {
					break
				}
			}
			var err error
			if stream, err = wire.AppendFrame(stream, wire.FrameDone, n, []byte(done)); err != nil {
				t.Fatal(err)
			}
		}
		r := &wire.Receiver{OutDir: out}
		if err := r.Receive(bytes.NewReader(stream)); err != nil {
			t.Error(err)
		}
		return r
	}
}

// TestChannelCommits: parts, and the files of a directory, arrive at a host as they
// were at the last commit.
func TestChannelCommits(t *testing.T) {
	for _, done := range []string{"", `{"exit_code":137,"signal":"killed"}`, "{}"} {
		out, dir := t.TempDir(), t.TempDir()
		c, receive := channelToHost(t, out)
		want := map[string]string{}
		big := strings.Repeat("0123456789", wire.MaxPayload/4)
		for commit, text := range []string{"first", "second " + big, "third"} {
			p, err := c.Part(results.DeathsFile)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := p.Write([]byte(text)); err != nil || n != len(text) {
				t.Fatal(n, err)
			}
			if err := c.Send("progress", nil); err != nil { // in the middle of it
				t.Fatal(err)
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{results.HistogramsFile, results.RunFile} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(name+text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if commit == 2 { // the end
				if err := c.sendRun(dir); err != nil {
					t.Fatal(err)
				}
				if done != "{}" {
					break
				}
			} else if err := c.Commit(dir); err != nil {
				t.Fatal(err)
			}
			want[results.DeathsFile] += text
			want[results.HistogramsFile], want[results.RunFile] = results.HistogramsFile+text, results.RunFile+text
		}
		r := receive(done)
		if len(r.Stored) != len(want) {
			t.Errorf("done %q: stored %q", done, r.Stored)
		}
		for name, text := range want {
			if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || string(got) != text {
				t.Errorf("done %q: %s has %d bytes, want %d: %v", done, name, len(got), len(text), err)
			}
		}
	}
}

// failingReader fails after some bytes.
type failingReader struct{ left int }

func (r *failingReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, errors.New("the file is gone")
	}
	n := min(len(p), r.left)
	r.left -= n
	return n, nil
}

// TestChannelUnreadableFile: a file that can't be read, and one with a path for a
// name, are not stored.
func TestChannelUnreadableFile(t *testing.T) {
	out := t.TempDir()
	c, receive := channelToHost(t, out)
	if err := c.SendFile("run.json", &failingReader{100}); err == nil || !strings.Contains(err.Error(), "send file run.json: the file is gone") {
		t.Errorf("%v", err)
	}
	if err := c.SendFile("no/name", strings.NewReader("")); err == nil {
		t.Error("a path is sent")
	}
	if r := receive(`{"exit_code":1}`); len(r.Stored) != 0 {
		t.Errorf("stored %q", r.Stored)
	}
}

// TestHold: a descriptor that a job handed over outlives its own copies and the channel.
func TestHold(t *testing.T) {
	sp, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	c := &Channel{fd: sp[1]}
	if err := errors.Join(c.Hold(pipe[1]), unix.Close(pipe[1]), c.Done(), c.Close()); err != nil {
		t.Fatal(err)
	}
	if err := new(initProcess).relay(sp[0]); !errors.Is(err, errJobDone) {
		t.Errorf("the job's messages ended with %v", err)
	}
	fds := []unix.PollFd{{Fd: int32(pipe[0]), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, 0); err != nil || fds[0].Revents != 0 {
		t.Errorf("the pipe has no writer any more: %v, events %#x", err, fds[0].Revents)
	}
}
