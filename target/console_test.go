// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/target/wire"
)

func TestConsoleKeepsHeadAndTail(t *testing.T) {
	for _, chunk := range []int{1, 7, 64, 1000} {
		c := newConsole(32)
		var all []byte
		for i := range 500 {
			all = fmt.Appendf(all, "line %d\n", i)
		}
		for b := all; len(b) > 0; {
			n := min(chunk, len(b))
			if w, err := c.Write(b[:n]); w != n || err != nil {
				t.Fatal(w, err)
			}
			b = b[n:]
		}
		got := c.Bytes()
		if !bytes.HasPrefix(got, all[:32]) || !bytes.HasSuffix(got, all[len(all)-32:]) {
			t.Errorf("chunks of %d: %q", chunk, got)
		}
		if want := fmt.Sprintf("[%d bytes of console dropped here]", len(all)-64); !strings.Contains(string(got), want) {
			t.Errorf("chunks of %d: %q lacks %q", chunk, got, want)
		}
	}
}

func TestConsoleShort(t *testing.T) {
	c := newConsole(8)
	fmt.Fprint(c, "0123456789ab")
	if got := string(c.Bytes()); got != "0123456789ab" {
		t.Errorf("got %q", got)
	}
}

func TestConsoleExcerpt(t *testing.T) {
	c := newConsole(1 << 10)
	fmt.Fprint(c, "one\r\ntwo\r\n\r\n\x1b[31mthree\x07  \r\n")
	if got := excerpt(c.Bytes(), 2); got != "two\n?[31mthree?" {
		t.Errorf("got %q", got)
	}
	for i := range 8 {
		fmt.Fprintf(c, "before %d\r\n", i)
	}
	fmt.Fprint(c, "[ 1.0] Kernel panic - not syncing: x\r\n")
	for i := range 40 {
		fmt.Fprintf(c, "after %d\r\n", i)
	}
	if got := excerpt(c.Bytes(), 8); got != "before 3\nbefore 4\nbefore 5\nbefore 6\nbefore 7\n[ 1.0] Kernel panic - not syncing: x\nafter 0\nafter 1" {
		t.Errorf("got %q", got)
	}
	c = newConsole(4 << 10)
	fmt.Fprint(c, "[ 1.0] BUG: unable to handle page fault\r\n[ 1.0] Oops: 0000 [#1] SMP\r\n[ 1.0] RIP: 0010:f+0x1/0x2\r\n"+
		strings.Repeat("[ 1.0] RAX: 1\r\n", 40)+"[ 1.1] Kernel panic - not syncing: Fatal exception\r\n")
	if got := excerpt(c.Bytes(), 3); got != "[ 1.0] BUG: unable to handle page fault\n[ 1.0] Oops: 0000 [#1] SMP\n[ 1.0] RIP: 0010:f+0x1/0x2" {
		t.Errorf("got %q", got)
	}
}

func TestDiagnose(t *testing.T) {
	for _, tc := range []struct{ name, text, reason, line string }{
		{"nothing", "Booting\nok\n", "", ""},
		{"panic", "x\r\n[    1.2] Kernel panic - not syncing: sysrq triggered crash\r\n[ 1.3] CPU: 0\r\n", GuestPanicked, "[    1.2] Kernel panic - not syncing: sysrq triggered crash"},
		{"panic in the middle of a line", "x\nrdx    0x0\ry[ 1.2] Kernel panic - not syncing: x\r\n", GuestPanicked, "[ 1.2] Kernel panic - not syncing: x"},
		{"panic that stays", "[ 1.2] Kernel panic - not syncing: x\r\n[ 1.3] CPU: 0\r\n[ 1.4] ---[ end Kernel panic - not syncing: x ]---\r\n", GuestPanicked, "[ 1.2] Kernel panic - not syncing: x"},
		{"oops", "[ 2.0] BUG: kernel NULL pointer dereference, address: 0\n", GuestPanicked, "[ 2.0] BUG: kernel NULL pointer dereference, address: 0"},
		{"oom", "[ 9.9] Out of memory: Killed process 77 (mapprof)\n", GuestOutOfMemory, "[ 9.9] Out of memory: Killed process 77 (mapprof)"},
		{"oom panic", "[ 9.9] Kernel panic - not syncing: System is deadlocked on memory\n", GuestOutOfMemory, "[ 9.9] Kernel panic - not syncing: System is deadlocked on memory"},
		{"oom and then another panic", "[ 9.9] Out of memory: Killed process 77 (mapprof)\n[ 12] Kernel panic - not syncing: Fatal exception\n", GuestPanicked, "[ 12] Kernel panic - not syncing: Fatal exception"},
		{"oops", "[ 60.1] BUG: unable to handle page fault for address: ffffc90000a01000\r\n[ 60.1] #PF: supervisor read access in kernel mode\r\n[ 60.2] Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI\r\n" +
			"[ 60.2] CPU: 0 UID: 0 PID: 9 Comm: kworker/0:0\r\n[ 60.2] RIP: 0010:rcu_do_batch+0x1c3/0x540\r\n[ 60.3] RIP: 0010:other+0x1/0x2\r\n[ 60.8] Kernel panic - not syncing: Fatal exception in interrupt\r\n",
			GuestPanicked, "[ 60.8] Kernel panic - not syncing: Fatal exception in interrupt: BUG: unable to handle page fault for address: ffffc90000a01000, Oops: Oops: 0000 [#1], in rcu_do_batch+0x1c3/0x540"},
		{"int3", "[ 1.2] int3: 0000 [#1] SMP\n[ 1.3] Kernel panic - not syncing: Fatal exception\n", GuestPanicked, "[ 1.3] Kernel panic - not syncing: Fatal exception: int3: 0000 [#1]"},
		{"initramfs too large", "Initramfs unpacking failed: write error\nKernel panic - not syncing: No working init\n", GuestPanicked, "Kernel panic - not syncing: No working init"},
	} {
		if reason, line := diagnose([]byte(tc.text)); reason != tc.reason || line != tc.line {
			t.Errorf("%s: got %q, %q", tc.name, reason, line)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext\n":   "plain\ttext\n",
		"\x1b]0;title\a":  "?]0;title?",
		"caf\u00e9\u202e": "caf\u00e9?",
		"bad\xffutf8":     "bad\ufffdutf8",
	} {
		if got := wire.Printable(in, 100); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if got := wire.Printable("12345", 3); got != "123" {
		t.Errorf("got %q", got)
	}
}
