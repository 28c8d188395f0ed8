// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"github.com/mapprof/mapprof/target/wire"
)

// consoleHalf is what a console keeps of the beginning and of the end; tests
// make it smaller.
var consoleHalf = 2 << 20

// console keeps a guest's console in bounded memory: its head, its tail, and
// how much was dropped between. A guest that floods it fills no disk.
// Safe for concurrent use.
type console struct {
	mu    sync.Mutex
	half  int
	head  []byte
	ring  []byte // the last bytes after head, a ring once full
	at    int    // where the ring's oldest byte is, once full
	total int64
}

func newConsole(half int) *console { return &console{half: half} }

// Write never fails and never blocks for long, so that the guest never waits
// for the host to take its console.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(p)
	c.total += int64(n)
	if room := c.half - len(c.head); room > 0 {
		k := min(room, len(p))
		c.head = append(c.head, p[:k]...)
		p = p[k:]
	}
	if room := c.half - len(c.ring); room > 0 {
		k := min(room, len(p))
		c.ring = append(c.ring, p[:k]...)
		p = p[k:]
	}
	if len(p) > c.half {
		p = p[len(p)-c.half:]
	}
	for len(p) > 0 {
		k := copy(c.ring[c.at:], p)
		p = p[k:]
		c.at = (c.at + k) % c.half
	}
	return n, nil
}

// Bytes returns head and tail, with a line between that says how much is
// missing, if any.
func (c *console) Bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b bytes.Buffer
	b.Write(c.head)
	if dropped := c.total - int64(len(c.head)) - int64(len(c.ring)); dropped > 0 {
		fmt.Fprintf(&b, "\n[%d bytes of console dropped here]\n", dropped)
	}
	b.Write(c.ring[c.at:])
	b.Write(c.ring[:c.at])
	return b.Bytes()
}

// excerpt returns the n lines of a console that say most, safe to print: from
// shortly before the line that tells why the guest ended, or else the last ones.
func excerpt(b []byte, n int) string {
	_, why := diagnose(b)
	if max := 16 * n * 512; why == "" && len(b) > max {
		b = b[len(b)-max:]
	}
	// A panic that an oops ends in is told by that.
	oopsed := strings.Contains(why, firstOops)
	var lines []string
	at := -1
	for l := range strings.SplitSeq(strings.ReplaceAll(string(b), "\r", "\n"), "\n") {
		l = wire.Printable(strings.TrimSpace(l), 200)
		if l == "" {
			continue
		}
		switch {
		case oopsed && strings.Contains(l, firstOops):
			at, oopsed = len(lines), false
		case why != "" && strings.HasSuffix(l, why):
			at = len(lines)
		}
		lines = append(lines, l)
	}
	if at >= 0 {
		lines = lines[max(0, at-5):]
		return strings.Join(lines[:min(n, len(lines))], "\n")
	}
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Reasons of a GuestError.
const (
	GuestPanicked    = "panicked"
	GuestOutOfMemory = "out of memory"
	GuestHung        = "hung"
	GuestPoweredOff  = "powered off early"
	GuestNoUserSpace = "did not reach user space"
	GuestQEMUFailed  = "qemu failed"
	GuestClockWrong  = "its clock is wrong"
)

// diagnose reads a console for why a guest ended; it returns the reason, or
// "" when the console does not say, and the line that says it.
func diagnose(text []byte) (reason, line string) {
	find := func(marks ...string) string {
		for _, m := range marks {
			i := bytes.LastIndex(text, []byte(m))
			// "---[ end Kernel panic - …" repeats what was said at its begin.
			for i >= 0 && bytes.HasSuffix(text[:i], []byte("[ end ")) {
				i = bytes.LastIndex(text[:i], []byte(m))
			}
			if i < 0 {
				continue
			}
			start := bytes.LastIndexAny(text[:i], "\r\n") + 1
			// The panic may break into a line of user space.
			start += max(0, bytes.LastIndexByte(text[start:i], '['))
			l := text[start:]
			if e := bytes.IndexAny(l, "\r\n"); e >= 0 {
				l = l[:e]
			}
			return wire.Printable(strings.TrimSpace(string(l)), 200)
		}
		return ""
	}
	if l := find("System is deadlocked on memory", "Out of memory and no killable"); l != "" {
		return GuestOutOfMemory, l
	}
	if l := find("Kernel panic - not syncing"); l != "" {
		// A panic that follows the OOM killer has memory as its cause
		// only when init itself fell to it.
		if o := find("Out of memory: Killed process 1 "); o != "" {
			return GuestOutOfMemory, o
		}
		if o := oops(text); o != "" && strings.Contains(l, "Fatal exception") {
			l += ": " + o
		}
		return GuestPanicked, l
	}
	if l := find("Initramfs unpacking failed: write error"); l != "" {
		return GuestOutOfMemory, l
	}
	if l := find("Out of memory: Kill", "oom-kill:"); l != "" {
		return GuestOutOfMemory, l
	}
	if l := find("Oops:", "BUG: unable to handle", "BUG: kernel NULL pointer", "kernel BUG at"); l != "" {
		return GuestPanicked, l
	}
	return "", ""
}

// firstOops is how a kernel counts its oopses.
const firstOops = "[#1]"

// oops says what a kernel's first oops was and where, which its panic that
// follows does not: the line that counts it, the one before where that names an
// address, and the function.
func oops(text []byte) string {
	const at = "RIP: 0010:"
	i := bytes.Index(text, []byte(firstOops))
	if i < 0 {
		return ""
	}
	message := func(line []byte) string {
		// After the time that the kernel puts before it.
		if _, rest, ok := bytes.Cut(line, []byte("] ")); ok {
			line = rest
		}
		return strings.TrimSpace(string(line))
	}
	start := bytes.LastIndexAny(text[:i], "\r\n") + 1
	parts := []string{message(text[start : i+len(firstOops)])}
	if b := bytes.LastIndex(text[:start], []byte("BUG: ")); b >= 0 && start-b < 1000 {
		line, _, _ := bytes.Cut(text[b:], []byte("\n"))
		parts = append([]string{strings.TrimSpace(string(line))}, parts...)
	}
	if _, rest, ok := bytes.Cut(text[i:], []byte(at)); ok {
		where := bytes.Fields(rest)
		if len(where) > 0 {
			parts = append(parts, "in "+string(where[0]))
		}
	}
	if what := int3At(text[i:]); what != "" && bytes.Contains(text[start:i], []byte("int3")) {
		parts = append(parts, what)
	}
	return wire.Printable(strings.Join(parts, ", "), 300)
}
