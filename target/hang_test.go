// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"slices"
	"testing"
)

// TestBusyTasks: the CPU that was interrupted, and the tasks that don't sleep; those of
// the panic itself are not told.
func TestBusyTasks(t *testing.T) {
	const console = "[   17.149464]  <NMI>\r\n[   17.158097]  dump_stack_lvl+0x5d/0x80\r\n[   17.158649]  unknown_nmi_error+0x77/0xa0\r\n" +
		"[   17.159441]  ? pv_native_safe_halt+0xf/0x20\r\n[   17.159468]  </NMI>\r\n[   17.159479]  <TASK>\r\n" +
		"[   17.159482]  default_idle+0x9/0x20\r\n[   17.159490]  default_idle_call+0x29/0x100\r\n[   17.159523]  </TASK>\r\n" +
		"[   17.2] task:init            state:S stack:0     pid:1     tgid:1     ppid:0      flags:0x00000000\r\n[   17.2]  __schedule+0x4ea/0xbe0\r\n" +
		"[   17.3] task:guest           state:D stack:    0 pid:   80 ppid:     1 flags:0x00000000\r\n[   17.3] Call Trace:\r\n" +
		"[   17.3]  __schedule+0x2be/0x770\r\n[   17.3]  schedule+0x3c/0xa0\r\n[   17.3]  synchronize_rcu+0x67/0x80\r\n[   17.3]  ? stale+0x1/0x2\r\n[   17.3]  __x64_sys_membarrier+0x1/0x2\r\n" +
		"[   17.4] task:kworker/0:1     state:R  running task     stack:0     pid:9     tgid:9     ppid:2      flags:0x00004000\r\n" +
		"[   17.4]  sched_show_task+0x1/0x2\r\n[   17.4]  show_state_filter+0x1/0x2\r\n"
	want := []string{
		"a CPU: default_idle < default_idle_call",
		"guest (pid 80, state D): synchronize_rcu < __x64_sys_membarrier",
	}
	if got := busyTasks([]byte(console)); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := busyTasks(nil); len(got) != 0 {
		t.Errorf("of nothing: %q", got)
	}
}
