// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"unicode"
)

// Limits bound what a guest may send. Zero values mean the defaults.
type Limits struct {
	FileBytes  int64    // one file; default 256 MiB
	TotalBytes int64    // everything on the channel; default 1 GiB
	Files      int      // number of files; default 64
	Names      []string // the only names accepted; empty: any ValidFileName
}

func (l Limits) WithDefaults() Limits {
	if l.FileBytes == 0 {
		l.FileBytes = 256 << 20
	}
	if l.TotalBytes == 0 {
		l.TotalBytes = 1 << 30
	}
	if l.Files == 0 {
		l.Files = 64
	}
	return l
}

func (l Limits) allows(name string) bool {
	if !ValidFileName(name) {
		return false
	}
	if len(l.Names) == 0 {
		return true
	}
	for _, n := range l.Names {
		if n == name {
			return true
		}
	}
	return false
}

// GuestHello is what PID 1 of the guest says first.
type GuestHello struct {
	Release  string   `json:"release"` // uname -r
	Version  string   `json:"version"` // uname -v
	Warnings []string `json:"warnings,omitempty"`
}

// GuestDone is what PID 1 of the guest says last.
type GuestDone struct {
	ExitCode int    `json:"exit_code"`
	Signal   string `json:"signal,omitempty"`  // that ended the job
	Message  string `json:"message,omitempty"` // the end of its standard error
}

// Receiver is the host's end of the channel: it keeps the order hello,
// started, (event | file)*, done, end, stores files and hands events on.
type Receiver struct {
	OutDir string
	Limits Limits
	Event  func(kind string, payload []byte)
	// window is the memory shared with the guest, nil if there is none;
	// taken tells the guest that it was read.
	Window io.ReaderAt
	Taken  func() error
	wbuf   []byte
	// progress is called for hello, started and done as they arrive.
	Progress func(FrameType)

	Hello   GuestHello
	Done    GuestDone
	State   FrameType // last of hello, started, done; 0 before
	total   int64
	names   map[string]bool
	file    *os.File
	name    string
	size    int64
	hash    hash.Hash
	Stored  []string
	dropped string // a file that the job's death left unfinished
}

// Receive reads frames from r until its end. Files that were not finished are
// removed; on error those that were finished are kept, for the caller decides.
func (c *Receiver) Receive(r io.Reader) (err error) {
	c.Limits = c.Limits.WithDefaults()
	c.names = map[string]bool{}
	fr := NewFrameReader(r)
	defer func() {
		if c.file != nil {
			c.dropped = c.name
			c.file.Close()
			os.Remove(c.file.Name())
			c.file = nil
		}
	}()
	for {
		t, p, err := fr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		c.total += int64(frameHeader + len(p))
		if c.total > c.Limits.TotalBytes {
			return fr.broken("more than %d bytes in total", c.Limits.TotalBytes)
		}
		reason, err := c.frame(t, p)
		if err != nil {
			return err
		}
		if reason != "" {
			return fr.broken("%s", reason)
		}
	}
}

// frame handles one frame; reason says how the guest broke the protocol, err
// how the host failed.
func (c *Receiver) frame(t FrameType, p []byte) (reason string, err error) {
	if c.State == FrameDone {
		return fmt.Sprintf("%s frame after the end", t), nil
	}
	switch t {
	case FrameHello:
		if c.State != 0 {
			return "a second hello", nil
		}
		if err := json.Unmarshal(p, &c.Hello); err != nil {
			return "hello is not understood: " + err.Error(), nil
		}
		c.Hello.Release = Printable(c.Hello.Release, 128)
		c.Hello.Version = Printable(c.Hello.Version, 256)
		for i, w := range c.Hello.Warnings {
			c.Hello.Warnings[i] = Printable(w, 512)
		}
	case FrameStarted:
		if c.State != FrameHello || len(p) != 0 {
			return "started out of place", nil
		}
	case FrameDone:
		if c.State != FrameHello && c.State != FrameStarted {
			return "done before hello", nil
		}
		if err := json.Unmarshal(p, &c.Done); err != nil {
			return "done is not understood: " + err.Error(), nil
		}
		c.Done.Signal = Printable(c.Done.Signal, 64)
		c.Done.Message = Printable(c.Done.Message, 8192)
		if c.file != nil && c.Done.ExitCode == 0 && c.Done.Signal == "" {
			return fmt.Sprintf("done with file %s unfinished", c.name), nil
		}
	case FrameEvent, FrameFileBegin, FrameFileData, FrameFileWindow, FrameFileEnd:
		if c.State != FrameStarted {
			return fmt.Sprintf("%s frame out of place", t), nil
		}
		return c.jobFrame(t, p)
	default:
		return fmt.Sprintf("%s frame from a guest", t), nil
	}
	c.State = t
	if c.Progress != nil {
		c.Progress(t)
	}
	return "", nil
}

func (c *Receiver) jobFrame(t FrameType, p []byte) (reason string, err error) {
	switch t {
	case FrameEvent:
		kind, payload, ok := splitEvent(p)
		if !ok {
			return "an event without a valid kind", nil
		}
		if c.Event != nil {
			c.Event(kind, payload)
		}
	case FrameFileBegin:
		return c.fileBegin(string(p))
	case FrameFileData:
		return c.fileData(p)
	case FrameFileWindow:
		return c.fileWindow(p)
	case FrameFileEnd:
		return c.fileEnd(p)
	}
	return "", nil
}

func (c *Receiver) fileBegin(name string) (reason string, err error) {
	switch {
	case c.file != nil:
		return fmt.Sprintf("a second file while %s is open", c.name), nil
	case !c.Limits.allows(name):
		return fmt.Sprintf("file name %q is not allowed", Printable(name, 64)), nil
	case c.names[name]:
		return fmt.Sprintf("file %s a second time", name), nil
	case len(c.names) >= c.Limits.Files:
		return fmt.Sprintf("more than %d files", c.Limits.Files), nil
	case c.OutDir == "":
		return fmt.Sprintf("file %s where none is expected", name), nil
	}
	f, err := os.CreateTemp(c.OutDir, ".recv-*.tmp")
	if err != nil {
		return "", fmt.Errorf("store guest file %s: %w", name, err)
	}
	c.names[name] = true
	c.file, c.name, c.size, c.hash = f, name, 0, sha256.New()
	return "", nil
}

func (c *Receiver) fileData(p []byte) (reason string, err error) {
	if c.file == nil {
		return "file data without a file", nil
	}
	c.size += int64(len(p))
	if c.size > c.Limits.FileBytes {
		return fmt.Sprintf("file %s has more than %d bytes", c.name, c.Limits.FileBytes), nil
	}
	c.hash.Write(p)
	if _, err := c.file.Write(p); err != nil {
		return "", fmt.Errorf("store guest file %s: %w", c.name, err)
	}
	return "", nil
}

// fileWindow takes file bytes out of the shared memory. They are copied
// before they are looked at, for the guest can change them at any time.
func (c *Receiver) fileWindow(p []byte) (reason string, err error) {
	if c.Window == nil || len(p) != 8 {
		return "file window out of place", nil
	}
	n := binary.LittleEndian.Uint32(p)
	if n == 0 || n > WindowBytes {
		return fmt.Sprintf("file window of %d bytes (at most %d)", n, WindowBytes), nil
	}
	if c.total += int64(n); c.total > c.Limits.TotalBytes {
		return fmt.Sprintf("more than %d bytes in total", c.Limits.TotalBytes), nil
	}
	if c.wbuf == nil {
		c.wbuf = make([]byte, WindowBytes)
	}
	b := c.wbuf[:n]
	if _, err := c.Window.ReadAt(b, 0); errors.Is(err, io.EOF) {
		return "a file window is shorter than it says", nil
	} else if err != nil {
		return "", fmt.Errorf("read the guest's window: %w", err)
	}
	if crc32.Checksum(b, Castagnoli) != binary.LittleEndian.Uint32(p[4:]) {
		return "checksum of a file window is wrong", nil
	}
	if reason, err := c.fileData(b); reason != "" || err != nil {
		return reason, err
	}
	if err := c.Taken(); err != nil {
		return "", fmt.Errorf("answer the guest: %w", err)
	}
	return "", nil
}

func (c *Receiver) fileEnd(p []byte) (reason string, err error) {
	if c.file == nil {
		return "end of a file without a file", nil
	}
	if len(p) != 8+sha256.Size {
		return fmt.Sprintf("end of file %s has %d bytes", c.name, len(p)), nil
	}
	if n := binary.LittleEndian.Uint64(p); n != uint64(c.size) {
		return fmt.Sprintf("file %s has %d bytes, %d announced", c.name, c.size, n), nil
	}
	if string(c.hash.Sum(nil)) != string(p[8:]) {
		return fmt.Sprintf("file %s does not match its SHA-256", c.name), nil
	}
	tmp := c.file.Name()
	// Not synced: nobody looks for it after a crash of the host.
	if err = c.file.Close(); err == nil {
		err = os.Chmod(tmp, 0o644)
	}
	if err == nil {
		err = os.Rename(tmp, filepath.Join(c.OutDir, c.name))
	}
	c.file = nil
	if err != nil {
		os.Remove(tmp)
		return "", fmt.Errorf("store guest file %s: %w", c.name, err)
	}
	c.Stored = append(c.Stored, c.name)
	return "", nil
}

// Printable makes a guest's text safe for a terminal and bounds it: newlines
// and tabs stay, everything else that does not print becomes '?'.
func Printable(s string, max int) string {
	if len(s) > max {
		s = s[:max]
	}
	out := []rune(s)
	for i, r := range out {
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			out[i] = '?'
		}
	}
	return string(out)
}
