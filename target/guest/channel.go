// SPDX-License-Identifier: Apache-2.0

//go:build linux

package guest

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

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
	if !wire.ValidFileName(name) {
		return fmt.Errorf("send file %q: not a plain name", name)
	}
	c.file.Lock()
	defer c.file.Unlock()
	if err := c.WriteFrame(wire.FrameFileBegin, []byte(name)); err != nil {
		return err
	}
	h := sha256.New()
	var size uint64
	buf := make([]byte, wire.MaxPayload)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			size += uint64(n)
			h.Write(buf[:n])
			if err := c.WriteFrame(wire.FrameFileData, buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("send file %s: %w", name, err)
		}
	}
	return c.WriteFrame(wire.FrameFileEnd, h.Sum(binary.LittleEndian.AppendUint64(nil, size)))
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
