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
	"slices"
	"unicode"
)

// Limits bound what a guest may send. Zero values mean the defaults.
type Limits struct {
	FileBytes  int64    // one file; default 1 GiB
	TotalBytes int64    // what a commit left, and everything on the channel since; default 2 GiB
	Files      int      // number of files; default 64
	Names      []string // the only names accepted; empty: any ValidFileName
}

// WithDefaults returns the limits with their defaults.
func (l Limits) WithDefaults() Limits {
	if l.FileBytes == 0 {
		l.FileBytes = 1 << 30
	}
	if l.TotalBytes == 0 {
		l.TotalBytes = 2 << 30
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
	ClockNS  int64    `json:"clock_ns"` // CLOCK_MONOTONIC
}

// GuestDone is what PID 1 of the guest says last.
type GuestDone struct {
	ExitCode int    `json:"exit_code"`
	Signal   string `json:"signal,omitempty"`  // that ended the job
	Message  string `json:"message,omitempty"` // the end of its standard error
	ClockNS  int64  `json:"clock_ns"`          // CLOCK_MONOTONIC
}

// Receiver is the host's end of the channel: it keeps the order hello,
// started, (event | file | file part | commit)*, done, end, stores files and hands
// events on.
//
// A commit makes what was sent the result: files in place of those of that name,
// parts after what is there. So does the done of a job, unless it failed after a
// commit. What was sent otherwise is dropped.
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
	// Committed, if any, is called after a commit, when OutDir holds a result. What the
	// guest sends waits meanwhile.
	Committed func() error

	Hello   GuestHello
	Done    GuestDone
	State   FrameType // last of hello, started, done; 0 before
	total   int64
	names   map[string]bool  // sent since the last commit
	all     map[string]bool  // sent at all
	sizes   map[string]int64 // of what parts have made, committed
	file    *os.File
	name    string
	part    bool  // file is the whole file, and a part of it is written
	size    int64 // of file, or of what is there with the part
	begun   int64 // size without the part
	hash    hash.Hash
	Stored  []string
	dropped string   // a file that the job's death left unfinished
	commits int      // how many there were
	staged  []staged // whole, and waiting for the next one
}

// staged is a file that waits for a commit.
type staged struct{ tmp, name string }

// Receive reads frames from r until its end. On error what was committed is kept,
// for the caller decides.
func (c *Receiver) Receive(r io.Reader) (err error) {
	c.Limits = c.Limits.WithDefaults()
	c.names, c.all, c.sizes = map[string]bool{}, map[string]bool{}, map[string]int64{}
	fr := NewFrameReader(r)
	defer func() { err = errors.Join(err, c.drop()) }()
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
		if err := c.abandon(); err != nil {
			return "", err
		}
		if c.commits == 0 || c.Done.ExitCode == 0 && c.Done.Signal == "" {
			if err := c.commit(); err != nil {
				return "", err
			}
		}
	case FrameEvent, FrameFileBegin, FrameFilePart, FrameFileData, FrameFileWindow, FrameFileEnd, FrameCommit:
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
	case FrameFileBegin, FrameFilePart:
		return c.fileBegin(string(p), t == FrameFilePart)
	case FrameCommit:
		if c.file != nil || len(p) != 0 {
			return "commit out of place", nil
		}
		c.commits++
		if err := c.commit(); err != nil || c.Committed == nil {
			return "", err
		}
		return "", c.Committed()
	case FrameFileData:
		return c.fileData(p)
	case FrameFileWindow:
		return c.fileWindow(p)
	case FrameFileEnd:
		return c.fileEnd(p)
	}
	return "", nil
}

func (c *Receiver) fileBegin(name string, part bool) (reason string, err error) {
	_, parts := c.sizes[name]
	switch {
	case c.file != nil:
		return fmt.Sprintf("a second file while %s is open", c.name), nil
	case !c.Limits.allows(name):
		return fmt.Sprintf("file name %q is not allowed", Printable(name, 64)), nil
	case c.names[name] && !(part && parts):
		return fmt.Sprintf("file %s a second time", name), nil
	case part && c.all[name] && !parts, !part && parts:
		return fmt.Sprintf("file %s whole and in parts", name), nil
	case !c.all[name] && len(c.all) >= c.Limits.Files:
		return fmt.Sprintf("more than %d files", c.Limits.Files), nil
	case c.OutDir == "":
		return fmt.Sprintf("file %s where none is expected", name), nil
	}
	c.name, c.part, c.size, c.begun, c.hash = name, part, 0, 0, sha256.New()
	if part {
		c.file, err = os.OpenFile(filepath.Join(c.OutDir, name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err == nil {
			c.size, err = c.file.Seek(0, io.SeekEnd)
			c.begun = c.size
		}
	} else {
		c.file, err = os.CreateTemp(c.OutDir, ".recv-*.tmp")
	}
	if err != nil {
		return "", fmt.Errorf("store guest file %s: %w", name, err)
	}
	c.names[name], c.all[name] = true, true
	if part && !parts {
		c.sizes[name] = 0
	}
	return "", nil
}

// commit makes what was sent the result.
func (c *Receiver) commit() error {
	for _, f := range c.staged {
		if err := os.Rename(f.tmp, filepath.Join(c.OutDir, f.name)); err != nil {
			return fmt.Errorf("store guest file %s: %w", f.name, err)
		}
		c.stored(f.name)
	}
	c.staged = nil
	for name := range c.sizes {
		info, err := os.Stat(filepath.Join(c.OutDir, name))
		if err != nil {
			return fmt.Errorf("store guest file %s: %w", name, err)
		}
		c.sizes[name] = info.Size()
		c.stored(name)
	}
	clear(c.names)
	return c.count()
}

// count makes what is stored all that counts as sent: a job that lasts for days
// replaces files again and again.
func (c *Receiver) count() error {
	c.total = 0
	for _, name := range c.Stored {
		info, err := os.Stat(filepath.Join(c.OutDir, name))
		if err != nil {
			return fmt.Errorf("store guest file %s: %w", name, err)
		}
		c.total += info.Size()
	}
	return nil
}

func (c *Receiver) stored(name string) {
	if !slices.Contains(c.Stored, name) {
		c.Stored = append(c.Stored, name)
	}
}

// abandon takes back the file that is under way, if any.
func (c *Receiver) abandon() error {
	if c.file == nil {
		return nil
	}
	c.dropped = c.name
	err := c.file.Close()
	if c.part {
		err = errors.Join(err, os.Truncate(c.file.Name(), c.begun))
	} else {
		err = errors.Join(err, os.Remove(c.file.Name()))
	}
	c.file = nil
	return err
}

// drop takes back what was not committed, at the end.
func (c *Receiver) drop() error {
	errs := []error{c.abandon()}
	for _, f := range c.staged {
		os.Remove(f.tmp)
	}
	c.staged = nil
	for name, size := range c.sizes {
		path := filepath.Join(c.OutDir, name)
		if slices.Contains(c.Stored, name) {
			errs = append(errs, os.Truncate(path, size))
		} else {
			errs = append(errs, os.Remove(path))
		}
	}
	return errors.Join(errs...)
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

// windowPiece is how much of the window is in memory at a time.
const windowPiece = 64 << 10

// fileWindow takes file bytes out of the shared memory. They are copied
// before they are looked at, for the guest can change them at any time. Bytes
// whose checksum is wrong are in the file by then, but no commit comes after them.
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
		c.wbuf = make([]byte, windowPiece)
	}
	sum := uint32(0)
	for at := int64(0); at < int64(n); at += windowPiece {
		b := c.wbuf[:min(windowPiece, int64(n)-at)]
		if _, err := c.Window.ReadAt(b, at); errors.Is(err, io.EOF) {
			return "a file window is shorter than it says", nil
		} else if err != nil {
			return "", fmt.Errorf("read the guest's window: %w", err)
		}
		sum = crc32.Update(sum, Castagnoli, b)
		if reason, err := c.fileData(b); reason != "" || err != nil {
			return reason, err
		}
	}
	if sum != binary.LittleEndian.Uint32(p[4:]) {
		return "checksum of a file window is wrong", nil
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
	if n := binary.LittleEndian.Uint64(p); n != uint64(c.size-c.begun) {
		return fmt.Sprintf("file %s has %d bytes, %d announced", c.name, c.size-c.begun, n), nil
	}
	if string(c.hash.Sum(nil)) != string(p[8:]) {
		return fmt.Sprintf("file %s does not match its SHA-256", c.name), nil
	}
	tmp := c.file.Name()
	// Not synced: nobody looks for it after a crash of the host.
	if err = c.file.Close(); err == nil && !c.part {
		err = os.Chmod(tmp, 0o644)
	}
	c.file = nil
	if err != nil {
		return "", fmt.Errorf("store guest file %s: %w", c.name, err)
	}
	if !c.part {
		c.staged = append(c.staged, staged{tmp, c.name})
	}
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
