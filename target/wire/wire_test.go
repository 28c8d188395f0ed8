// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// stream builds what a guest sends.
type stream struct {
	b   []byte
	seq uint32
}

func (s *stream) add(t FrameType, payload ...string) *stream {
	var p [][]byte
	for _, x := range payload {
		p = append(p, []byte(x))
	}
	b, err := AppendFrame(s.b, t, s.seq, p...)
	if err != nil {
		panic(err)
	}
	s.b = b
	s.seq++
	return s
}

func (s *stream) raw(x string) *stream {
	s.b = append(s.b, x...)
	return s
}

func (s *stream) hello() *stream { return s.add(FrameHello, `{"release":"6.12.0"}`).add(FrameStarted) }

func (s *stream) event(kind, payload string) *stream {
	return s.add(FrameEvent, string([]byte{byte(len(kind))}), kind, payload)
}

func fileEnd(body string) string {
	sum := sha256.Sum256([]byte(body))
	return string(binary.LittleEndian.AppendUint64(nil, uint64(len(body)))) + string(sum[:])
}

func windowFrame(body string) string {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	return string(binary.LittleEndian.AppendUint32(b, crc32.Checksum([]byte(body), Castagnoli)))
}

func (s *stream) file(name, body string) *stream {
	return s.add(FrameFileBegin, name).add(FrameFileData, body).add(FrameFileEnd, fileEnd(body))
}

func TestChannelRoundTrip(t *testing.T) {
	dir := t.TempDir()
	big := strings.Repeat("0123456789abcdef", MaxPayload/16)
	window := strings.Repeat("window", windowPiece/2) + "." // three pieces and a bit
	s := (&stream{}).hello().event("progress", "1").file("run.json", "{}").
		add(FrameFileBegin, "big").add(FrameFileData, big).event("progress", "2").add(FrameFileData, big).
		add(FrameFileWindow, windowFrame(window)).add(FrameFileEnd, fileEnd(big+big+window)).
		add(FrameDone, `{"exit_code":3,"message":"no\u001b[2Jway"}`)
	var events []string
	var steps []FrameType
	taken := 0
	c := &Receiver{OutDir: dir, Window: strings.NewReader(window + " and more"),
		Taken:    func() error { taken++; return nil },
		Event:    func(k string, p []byte) { events = append(events, k+"="+string(p)) },
		Progress: func(t FrameType) { steps = append(steps, t) }}
	// One byte at a time, as a serial port may.
	if err := c.Receive(&oneByte{s.b}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(events, " "); got != "progress=1 progress=2" {
		t.Errorf("events %q", got)
	}
	if len(steps) != 3 || steps[0] != FrameHello || steps[2] != FrameDone || taken != 1 {
		t.Errorf("steps %v, window taken %d times", steps, taken)
	}
	if c.Done.ExitCode != 3 || c.Done.Message != "no?[2Jway" || c.Hello.Release != "6.12.0" {
		t.Errorf("hello %+v done %+v", c.Hello, c.Done)
	}
	for name, want := range map[string]string{"run.json": "{}", "big": big + big + window} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	wantFiles(t, dir, "big", "run.json")
}

type oneByte struct{ b []byte }

func (o *oneByte) Read(p []byte) (int, error) {
	if len(o.b) == 0 {
		return 0, io.EOF
	}
	p[0] = o.b[0]
	o.b = o.b[1:]
	return 1, nil
}

// wantFiles checks that dir holds these and nothing half-written.
func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range es {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("directory holds %q, want %q", got, want)
	}
}

func TestMaliciousGuest(t *testing.T) {
	newStream := func() *stream { return &stream{} }
	patched := func(at int, v byte) *stream {
		s := newStream().hello().event("a", "payload")
		s.b[at] = v
		return s
	}
	over := newStream().hello()
	over.b = append(over.b, frameMagic+"\x03\x00\x00\x00\x02\x00\x00\x00\xff\xff\xff\xffcccc"...)
	for _, tc := range []struct {
		name string
		s    *stream
		want string
	}{
		{"garbage", newStream().raw(strings.Repeat("\xa5", 64)), "is not the start of a frame"},
		{"console text", newStream().raw("[    0.000000] Linux version 6.12"), "is not the start of a frame"},
		{"bad magic later", newStream().hello().raw(strings.Repeat("x", 32)), "is not the start of a frame"},
		{"wrong version", patched(3, 2), "is not the start of a frame"},
		{"reserved bytes", patched(6, 1), "reserved"},
		{"type 0", patched(4, 0), "unknown frame type 0"},
		{"type 200", patched(4, 200), "unknown frame type 200"},
		{"flipped payload bit", patched(frameHeader+3, 'R'), "checksum of a hello frame"},
		{"flipped checksum", patched(17, 0xee), "checksum of a hello frame"},
		{"oversized frame", over, "4294967295 bytes"},
		{"repeated sequence number", func() *stream { s := newStream().hello(); s.seq--; return s.event("a", "") }(), "out of sequence"},
		{"skipped sequence number", func() *stream { s := newStream().hello(); s.seq++; return s.event("a", "") }(), "out of sequence"},
		{"half a header", newStream().hello().raw("MPF\x01\x03"), "ended after 5 of 20"},
		{"half a payload", func() *stream { s := newStream().hello().event("a", "long"); s.b = s.b[:len(s.b)-2]; return s }(), "ended after 4 of 6"},
		{"event before hello", newStream().event("a", ""), "out of place"},
		{"event before start", newStream().add(FrameHello, "{}").event("a", ""), "out of place"},
		{"two hellos", newStream().add(FrameHello, "{}").add(FrameHello, "{}"), "second hello"},
		{"two starts", newStream().hello().add(FrameStarted), "out of place"},
		{"hello that is no JSON", newStream().add(FrameHello, "{"), "not understood"},
		{"done that is no JSON", newStream().hello().add(FrameDone, "x"), "not understood"},
		{"done before hello", newStream().add(FrameDone, "{}"), "done before hello"},
		{"data after done", newStream().hello().add(FrameDone, "{}").event("a", ""), "after the end"},
		{"host's own frame", newStream().hello().add(FrameStop), "stop frame from a guest"},
		{"event without a kind", newStream().hello().add(FrameEvent), "valid kind"},
		{"event with an overlong kind", newStream().hello().add(FrameEvent, "\xffabc"), "valid kind"},
		{"event with a control character", newStream().hello().event("a\x1b[m", ""), "valid kind"},
		{"file data without a file", newStream().hello().add(FrameFileData, "x"), "without a file"},
		{"file end without a file", newStream().hello().add(FrameFileEnd, fileEnd("")), "without a file"},
		{"two files at once", newStream().hello().add(FrameFileBegin, "a").add(FrameFileBegin, "b"), "while a is open"},
		{"same file twice", newStream().hello().file("a", "1").file("a", "2"), "second time"},
		{"path", newStream().hello().add(FrameFileBegin, "../../etc/passwd"), "not allowed"},
		{"absolute path", newStream().hello().add(FrameFileBegin, "/etc/passwd"), "not allowed"},
		{"hidden name", newStream().hello().add(FrameFileBegin, ".bashrc"), "not allowed"},
		{"empty name", newStream().hello().add(FrameFileBegin, ""), "not allowed"},
		{"name not on the list", newStream().hello().add(FrameFileBegin, "other"), "not allowed"},
		{"wrong hash", newStream().hello().add(FrameFileBegin, "a").add(FrameFileData, "x").add(FrameFileEnd, fileEnd("y")), "SHA-256"},
		{"wrong size", newStream().hello().add(FrameFileBegin, "a").add(FrameFileData, "x").add(FrameFileEnd, fileEnd("xx")), "announced"},
		{"short file end", newStream().hello().add(FrameFileBegin, "a").add(FrameFileEnd, "x"), "end of file a has 1 bytes"},
		{"file too large", newStream().hello().add(FrameFileBegin, "a").add(FrameFileData, strings.Repeat("x", 1001)), "more than 1000 bytes"},
		{"endless events", newStream().hello().event("a", strings.Repeat("x", 4000)).event("a", strings.Repeat("x", 4000)), "in total"},
		{"a file whole and in parts", newStream().hello().part("a", "1").file("a", "2"), "second time"},
		{"a file in parts, then whole", newStream().hello().part("a", "1").add(FrameCommit).file("a", "2"), "whole and in parts"},
		{"a file whole, then in parts", newStream().hello().file("a", "1").add(FrameCommit).part("a", "2"), "whole and in parts"},
		{"parts too large", newStream().hello().part("a", strings.Repeat("x", 600)).part("a", strings.Repeat("x", 600)), "more than 1000 bytes"},
		{"a commit in a file", newStream().hello().add(FrameFilePart, "a").add(FrameCommit), "commit out of place"},
		{"a commit with something in it", newStream().hello().add(FrameCommit, "x"), "commit out of place"},
		{"a commit before start", newStream().add(FrameHello, "{}").add(FrameCommit), "out of place"},
		{"too many files, one after the other", newStream().hello().file("a", "").add(FrameCommit).file("b", "").add(FrameCommit).file("c", ""), "more than 2 files"},
		{"wrong hash of a part", newStream().hello().part("a", "1").add(FrameFilePart, "a").add(FrameFileData, "x").add(FrameFileEnd, fileEnd("y")), "SHA-256"},
		{"too many files", newStream().hello().file("a", "").file("b", "").file("c", ""), "more than 2 files"},
		{"unfinished file at a good end", newStream().hello().add(FrameFileBegin, "a").add(FrameDone, "{}"), "unfinished"},
		{"window of nothing", newStream().hello().add(FrameFileBegin, "a").add(FrameFileWindow, "\x00\x00\x00\x00\x00\x00\x00\x00"), "window of 0 bytes"},
		{"window too large", newStream().hello().add(FrameFileBegin, "a").add(FrameFileWindow, "\xff\xff\xff\xff\x00\x00\x00\x00"), "window of 4294967295"},
		{"window with another checksum", newStream().hello().add(FrameFileBegin, "a").add(FrameFileWindow, windowFrame("other!")), "checksum of a file window"},
		{"window with a short frame", newStream().hello().add(FrameFileBegin, "a").add(FrameFileWindow, "x"), "out of place"},
		{"window without a file", newStream().hello().add(FrameFileWindow, windowFrame("window")), "without a file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			c := &Receiver{OutDir: dir, Window: strings.NewReader("window"), Taken: func() error { return nil },
				Limits: Limits{FileBytes: 1000, TotalBytes: 8000, Files: 2, Names: []string{"a", "b", "c", "../../etc/passwd"}}}
			err := c.Receive(bytes.NewReader(tc.s.b))
			var ce *ChannelError
			if !errors.As(err, &ce) || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want a ChannelError with %q", err, tc.want)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// A job that dies in the middle of a file is no attack: the file is dropped.
func TestUnfinishedFile(t *testing.T) {
	dir := t.TempDir()
	s := (&stream{}).hello().file("a", "1").add(FrameFileBegin, "b").add(FrameFileData, "x").
		add(FrameDone, `{"exit_code":2}`)
	c := &Receiver{OutDir: dir}
	if err := c.Receive(bytes.NewReader(s.b)); err != nil {
		t.Fatal(err)
	}
	if c.dropped != "b" || len(c.Stored) != 1 {
		t.Errorf("dropped %q, stored %q", c.dropped, c.Stored)
	}
	wantFiles(t, dir, "a")
}

func (s *stream) part(name, body string) *stream {
	return s.add(FrameFilePart, name).add(FrameFileData, body).add(FrameFileEnd, fileEnd(body))
}

// What was committed is there whatever comes after it, and nothing else is.
func TestCommit(t *testing.T) {
	first := func() *stream { return (&stream{}).hello().part("deaths", "one ").file("run", "1").add(FrameCommit) }
	second := func() *stream { return first().part("deaths", "two ").part("deaths", "three ").file("run", "2") }
	for _, c := range []struct {
		name string
		s    *stream
		want map[string]string
	}{
		{"before a commit", (&stream{}).hello().part("deaths", "one ").file("run", "1"), nil},
		{"after one", first(), map[string]string{"deaths": "one ", "run": "1"}},
		{"a part is cut off", func() *stream {
			s := first().add(FrameFilePart, "deaths").add(FrameFileData, "two ")
			s.b = s.b[:len(s.b)-1]
			return s
		}(), map[string]string{"deaths": "one ", "run": "1"}},
		{"before the second", second(), map[string]string{"deaths": "one ", "run": "1"}},
		{"the job failed", second().add(FrameDone, `{"exit_code":137,"signal":"killed"}`), map[string]string{"deaths": "one ", "run": "1"}},
		{"broken after it", second().raw(strings.Repeat("x", 64)), map[string]string{"deaths": "one ", "run": "1"}},
		{"the job failed in its first part", (&stream{}).hello().part("deaths", "one ").add(FrameFilePart, "deaths").add(FrameFileData, "two ").add(FrameDone, `{"exit_code":1}`),
			map[string]string{"deaths": "one "}},
		{"the job failed in a part", second().add(FrameFilePart, "deaths").add(FrameFileData, "four ").add(FrameDone, `{"exit_code":1}`),
			map[string]string{"deaths": "one ", "run": "1"}},
		{"done", second().add(FrameDone, "{}"), map[string]string{"deaths": "one two three ", "run": "2"}},
		{"the second", second().add(FrameCommit), map[string]string{"deaths": "one two three ", "run": "2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			r := &Receiver{OutDir: dir}
			_ = r.Receive(bytes.NewReader(c.s.b))
			var names []string
			for _, name := range []string{"deaths", "run"} {
				want, there := c.want[name]
				if !there {
					continue
				}
				names = append(names, name)
				if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
					t.Errorf("%s: %q, %v, want %q", name, got, err, want)
				}
			}
			wantFiles(t, dir, names...)
			if len(r.Stored) != len(names) {
				t.Errorf("stored %q", r.Stored)
			}
		})
	}
}

// TestCommitsForHours: what later commits replaced is not counted as sent, what they
// left is; the host looks at each of them, and its failure is not the guest's.
func TestCommitsForHours(t *testing.T) {
	many := func(commits int) *stream {
		s := (&stream{}).hello()
		for range commits {
			s.part("deaths", "more ").file("run", strings.Repeat("x", 1000)).add(FrameCommit)
		}
		return s
	}
	limits := Limits{FileBytes: 2000, TotalBytes: 4000}
	dir, looked := t.TempDir(), 0
	r := &Receiver{OutDir: dir, Limits: limits, Committed: func() error {
		looked++
		if got, err := os.ReadFile(filepath.Join(dir, "deaths")); err != nil || len(got) != 5*looked {
			t.Errorf("%q, %v", got, err)
		}
		return nil
	}}
	if err := r.Receive(bytes.NewReader(many(100).b)); err != nil || looked != 100 {
		t.Errorf("%v after %d commits", err, looked)
	}
	kept := many(1)
	for range 10 {
		kept.part("deaths", strings.Repeat("x", 400)).add(FrameCommit)
	}
	r = &Receiver{OutDir: t.TempDir(), Limits: Limits{FileBytes: 8000, TotalBytes: 4000}}
	if err := r.Receive(bytes.NewReader(kept.b)); err == nil || !strings.Contains(err.Error(), "more than 4000 bytes in total") {
		t.Error(err)
	}
	full := errors.New("disk full")
	r = &Receiver{OutDir: t.TempDir(), Limits: limits, Committed: func() error { return full }}
	var broken *ChannelError
	if err := r.Receive(bytes.NewReader(many(1).b)); !errors.Is(err, full) || errors.As(err, &broken) {
		t.Error(err)
	}
}

func TestReceiveHostFailure(t *testing.T) {
	c := &Receiver{OutDir: filepath.Join(t.TempDir(), "missing")}
	err := c.Receive(bytes.NewReader((&stream{}).hello().file("a", "1").b))
	var ce *ChannelError
	if err == nil || errors.As(err, &ce) || !strings.Contains(err.Error(), "store guest file a") {
		t.Errorf("got %v: the host's failure is not the guest's", err)
	}
}

func TestAppendFrameRefusesOversize(t *testing.T) {
	if _, err := AppendFrame(nil, FrameEvent, 0, make([]byte, MaxPayload+1)); err == nil {
		t.Error("accepted")
	}
}

func FuzzChannel(f *testing.F) {
	f.Add((&stream{}).hello().event("a", "b").file("n", "body").add(FrameDone, "{}").b)
	f.Add((&stream{}).hello().part("n", "body").file("m", "1").add(FrameCommit).part("n", "more").add(FrameDone, "{}").b)
	f.Add((&stream{}).hello().add(FrameFileBegin, "n").add(FrameFileWindow, windowFrame("window")).b)
	f.Add([]byte("MPF\x01\x01\x00\x00\x00"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &Receiver{OutDir: dir, Window: strings.NewReader("window"), Taken: func() error { return nil },
			Event: func(string, []byte) {}, Limits: Limits{FileBytes: 1 << 16, TotalBytes: 1 << 18}}
		err := c.Receive(bytes.NewReader(b))
		var ce *ChannelError
		if err != nil && !errors.As(err, &ce) {
			t.Errorf("%v is no ChannelError", err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
		for _, n := range c.Stored {
			if !ValidFileName(n) {
				t.Errorf("stored %q", n)
			}
		}
	})
}

// FuzzFrames gives the decoder frames whose checksums are right, so that the
// fuzzer reaches what lies behind them.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{1, 2, '{', '}', 2, 0, 3, 2, 1, 'a', 7, 2, '{', '}'})
	f.Add([]byte{1, 2, '{', '}', 2, 0, 4, 1, 'n', 5, 1, 'x', 9, 8, 6, 0, 0, 0, 0, 0, 0, 0})
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		var s stream
		for len(b) >= 2 {
			n := min(int(b[1]), len(b)-2)
			s.add(FrameType(b[0]), string(b[2:2+n]))
			b = b[2+n:]
		}
		c := &Receiver{OutDir: dir, Window: strings.NewReader("window"), Taken: func() error { return nil },
			Limits: Limits{FileBytes: 1 << 12, TotalBytes: 1 << 16}}
		err := c.Receive(bytes.NewReader(s.b))
		var ce *ChannelError
		if err != nil && !errors.As(err, &ce) {
			t.Errorf("%v is no ChannelError", err)
		}
	})
}
