// SPDX-License-Identifier: Apache-2.0

//go:build linux

package guest

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/wire"
	"golang.org/x/sys/unix"
)

// Channel is the job's way to the host. Safe for concurrent use; events
// may be sent while a file is.
type Channel struct {
	mu   sync.Mutex // of writes
	file sync.Mutex // of SendFile: one file at a time
	fd   int
	buf  []byte
}

// OpenChannel opens the channel of the job that this process is.
func OpenChannel() (*Channel, error) {
	fd, err := jobFD()
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(fd)
	if err := os.Unsetenv(guestJobFD); err != nil {
		return nil, err
	}
	return &Channel{fd: fd}, nil
}

func (c *Channel) WriteFrame(t wire.FrameType, parts ...[]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return errors.New("send to the host: the channel is closed")
	}
	c.buf = append(c.buf[:0], byte(t))
	for _, p := range parts {
		c.buf = append(c.buf, p...)
	}
	if len(c.buf) > 1+wire.MaxPayload {
		return fmt.Errorf("send %s to the host: %d bytes (at most %d)", t, len(c.buf)-1, wire.MaxPayload)
	}
	for {
		_, err := unix.SendmsgN(c.fd, c.buf, nil, nil, unix.MSG_NOSIGNAL)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("send %s to the host: %w", t, err)
		}
		return nil
	}
}

// Hold makes the guest's init keep a descriptor open for as long as the machine is on,
// whatever becomes of the job.
func (c *Channel) Hold(fd int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := unix.Sendmsg(c.fd, []byte{holdMessage}, unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("hand a descriptor to the guest's init: %w", err)
	}
	return nil
}

// holdMessage is the type of a message with a descriptor; it is no frame's.
const holdMessage = 0

// Send sends an event, which the host hands to Job.Event: kind is 1 to 32 of
// [a-z0-9._-], payload under 64 KiB.
func (c *Channel) Send(kind string, payload []byte) error {
	if !wire.ValidEventKind(kind) {
		return fmt.Errorf("send event %q: not a kind", kind)
	}
	return c.WriteFrame(wire.FrameEvent, []byte{byte(len(kind))}, []byte(kind), payload)
}

// SendFile sends a file, which the host stores as name in Job.OutDir once its
// SHA-256 matched. An error of r leaves it unfinished: the host stores
// nothing, and the job must end with a failure.
func (c *Channel) SendFile(name string, r io.Reader) error {
	f, err := c.begin(wire.FrameFileBegin, name)
	if err != nil {
		return err
	}
	// Not f itself, which would be written to in pieces of another size.
	if _, err := io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{r}, make([]byte, wire.MaxPayload)); err != nil {
		f.release()
		return fmt.Errorf("send file %s: %w", name, err)
	}
	return f.Close()
}

// Part begins a part of a file, which the host stores after those before. No other
// file can be sent before it is closed. It implements task.Uplink.
func (c *Channel) Part(name string) (io.WriteCloser, error) {
	return c.begin(wire.FrameFilePart, name)
}

// Commit sends the files of a run directory and makes them, with the parts so far,
// the job's result. It implements task.Uplink.
func (c *Channel) Commit(dir string) error {
	if err := c.sendRun(dir); err != nil {
		return err
	}
	return c.WriteFrame(wire.FrameCommit)
}

// sendRun sends the files that a run directory has.
func (c *Channel) sendRun(dir string) error {
	for _, file := range results.Files() {
		err := c.SendFilePath(file, filepath.Join(dir, file))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// sending is a file, or a part of one, under way.
type sending struct {
	c    *Channel
	hash hash.Hash
	size uint64
}

func (c *Channel) begin(t wire.FrameType, name string) (*sending, error) {
	if !wire.ValidFileName(name) {
		return nil, fmt.Errorf("send file %q: not a plain name", name)
	}
	c.file.Lock()
	if err := c.WriteFrame(t, []byte(name)); err != nil {
		c.file.Unlock()
		return nil, err
	}
	return &sending{c: c, hash: sha256.New()}, nil
}

func (s *sending) Write(p []byte) (n int, err error) {
	for chunk := range slices.Chunk(p, wire.MaxPayload) {
		s.hash.Write(chunk)
		if err := s.c.WriteFrame(wire.FrameFileData, chunk); err != nil {
			return n, err
		}
		s.size += uint64(len(chunk))
		n += len(chunk)
	}
	return n, nil
}

// release lets others send.
func (s *sending) release() { s.c.file.Unlock() }

func (s *sending) Close() error {
	defer s.release()
	return s.c.WriteFrame(wire.FrameFileEnd, s.hash.Sum(binary.LittleEndian.AppendUint64(nil, s.size)))
}

// SendFilePath sends the file at path by its name.
func (c *Channel) SendFilePath(name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("send file %s: %w", name, err)
	}
	defer f.Close()
	return c.SendFile(name, f)
}

// Done says that the job has done all it had to and succeeded: the machine goes
// off without waiting for the process to end, which takes seconds where it has
// programs attached. What is sent after it is lost.
func (c *Channel) Done() error { return c.WriteFrame(wire.FrameDone) }

// Close ends the channel. What was sent is already on its way; that the job
// is done is told by its exit code, or by Done.
func (c *Channel) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return nil
	}
	err := unix.Close(c.fd)
	c.fd = -1
	return err
}
