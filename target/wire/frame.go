// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// The channel between guest and host is a serial port that carries frames
// and nothing else. All integers are little endian:
//
//	0  magic "MPF" and the version
//	4  type
//	5  three zero bytes
//	8  sequence number, from 0, per direction
//	12 payload length, at most MaxPayload
//	16 CRC-32C over bytes 0 to 15 and the payload
//	20 payload
//
// Where QEMU and the guest kernel allow it, the bytes of files go through a
// window of memory that both share instead, and only their size and checksum
// over the port: emulated, the port moves 0.45 MB/s, the window 12 (with the
// guest computing its SHA-256).
//
// A serial port between two processes of one machine does not lose bytes, so
// the decoder forgives nothing: whatever is not the next frame ends the VM.
const (
	frameMagic   = "MPF\x01"
	frameHeader  = 20
	MaxPayload   = 64 << 10
	maxEventKind = 32
	WindowBytes  = 4 << 20
)

// FrameType says what a frame's payload is.
type FrameType uint8

const (
	FrameHello      FrameType = 1 + iota // guest → host: PID 1 is up (JSON GuestHello)
	FrameStarted                         // guest → host: the job's process runs (empty)
	FrameEvent                           // guest → host: length of kind, kind, payload
	FrameFileBegin                       // guest → host: name of a file
	FrameFileData                        // guest → host: its bytes
	FrameFileEnd                         // guest → host: size (8 bytes), SHA-256 (32 bytes)
	FrameDone                            // guest → host: the job ended (JSON GuestDone); job → guest's init: it is done (empty)
	FrameStop                            // host → guest: end the job early (empty)
	FrameFileWindow                      // guest → host: size and CRC-32C of file bytes in the window
	FrameTaken                           // host → guest: the window may be written again (empty)
	FrameFilePart                        // guest → host: name of a file; what follows comes after what it has
	FrameCommit                          // guest → host: what was sent up to here is a result (empty)
	frameTypeEnd
)

func (t FrameType) String() string {
	names := [...]string{"", "hello", "started", "event", "file begin", "file data", "file end", "done", "stop", "file window", "taken", "file part", "commit"}
	if t == 0 || int(t) >= len(names) {
		return fmt.Sprintf("type %d", uint8(t))
	}
	return names[t]
}

var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ChannelError is a guest that broke the protocol of the channel. Its VM is
// killed and nothing that it sent is trusted.
type ChannelError struct {
	Frame  uint32 // sequence number expected when it happened
	Reason string
	// Ended says that the stream stopped inside a frame, as it does when
	// the machine goes off; the console may know more.
	Ended bool
}

func (e *ChannelError) Error() string {
	return fmt.Sprintf("read the guest's channel at frame %d: %s (the guest or its kernel is broken, or hostile)", e.Frame, e.Reason)
}

// AppendFrame appends one frame to b.
func AppendFrame(b []byte, t FrameType, seq uint32, payload ...[]byte) ([]byte, error) {
	n := 0
	for _, p := range payload {
		n += len(p)
	}
	if n > MaxPayload {
		return b, fmt.Errorf("send %s frame: %d bytes (at most %d)", t, n, MaxPayload)
	}
	at := len(b)
	b = append(b, frameMagic...)
	b = append(b, byte(t), 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, seq)
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	sum := crc32.Update(0, Castagnoli, b[at:])
	for _, p := range payload {
		sum = crc32.Update(sum, Castagnoli, p)
	}
	b = binary.LittleEndian.AppendUint32(b, sum)
	for _, p := range payload {
		b = append(b, p...)
	}
	return b, nil
}

// frameReader decodes frames. The payload that Next returns is valid until
// the next call.
type frameReader struct {
	r   io.Reader
	seq uint32
	buf []byte
}

func NewFrameReader(r io.Reader) *frameReader {
	return &frameReader{r: r, buf: make([]byte, frameHeader+MaxPayload)}
}

func (f *frameReader) broken(format string, args ...any) error {
	return &ChannelError{Frame: f.seq, Reason: fmt.Sprintf(format, args...)}
}

func (f *frameReader) ended(format string, args ...any) error {
	return &ChannelError{Frame: f.seq, Reason: fmt.Sprintf(format, args...), Ended: true}
}

// Next returns io.EOF when the stream ended between two frames, a
// *ChannelError when what came is not the next frame, and the reader's own
// error when it failed.
func (f *frameReader) Next() (FrameType, []byte, error) {
	h := f.buf[:frameHeader]
	if n, err := io.ReadFull(f.r, h); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, nil, f.ended("ended after %d of %d bytes of a header", n, frameHeader)
		}
		return 0, nil, err
	}
	if string(h[:4]) != frameMagic {
		return 0, nil, f.broken("%q is not the start of a frame", h[:4])
	}
	t := FrameType(h[4])
	seq := binary.LittleEndian.Uint32(h[8:])
	n := binary.LittleEndian.Uint32(h[12:])
	switch {
	case t == 0 || t >= frameTypeEnd:
		return 0, nil, f.broken("unknown frame type %d", h[4])
	case h[5]|h[6]|h[7] != 0:
		return 0, nil, f.broken("reserved bytes %x are not zero", h[5:8])
	case seq != f.seq:
		return 0, nil, f.broken("frame out of sequence: number %d", seq)
	case n > MaxPayload:
		return 0, nil, f.broken("%s frame of %d bytes (at most %d)", t, n, MaxPayload)
	}
	p := f.buf[frameHeader : frameHeader+int(n)]
	if got, err := io.ReadFull(f.r, p); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return 0, nil, f.ended("ended after %d of %d bytes of a %s frame", got, n, t)
		}
		return 0, nil, err
	}
	sum := crc32.Update(crc32.Update(0, Castagnoli, h[:16]), Castagnoli, p)
	if sum != binary.LittleEndian.Uint32(h[16:]) {
		return 0, nil, f.broken("checksum of a %s frame is wrong", t)
	}
	f.seq++
	return t, p, nil
}

// FromJob tells whether a job may send frames of a type: its guest's init passes
// them on.
func (t FrameType) FromJob() bool {
	switch t {
	case FrameEvent, FrameFileBegin, FrameFileData, FrameFileEnd, FrameFilePart, FrameCommit:
		return true
	}
	return false
}

// ValidEventKind tells whether kind may name an event: 1 to 32 of [a-z0-9._-].
func ValidEventKind(kind string) bool {
	if kind == "" || len(kind) > maxEventKind {
		return false
	}
	for _, c := range []byte(kind) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

// ValidFileName tells whether a guest may send a file by that name: 1 to 128
// of [A-Za-z0-9._-], not starting with a dot.
func ValidFileName(name string) bool {
	if name == "" || len(name) > 128 || name[0] == '.' {
		return false
	}
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

// splitEvent splits an event frame's payload into kind and payload.
func splitEvent(p []byte) (string, []byte, bool) {
	if len(p) == 0 || len(p) < 1+int(p[0]) {
		return "", nil, false
	}
	kind := string(p[1 : 1+int(p[0])])
	return kind, p[1+int(p[0]):], ValidEventKind(kind)
}
