// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"maps"
	"slices"
	"strings"
	"testing"

	pprof "github.com/google/pprof/profile"

	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// callers makes frames of names, which are given outermost first.
func callers(names string) []results.Frame {
	var out []results.Frame
	for i, name := range slices.Backward(strings.Fields(names)) {
		out = append(out, results.Frame{Function: name, Offset: uint64(0x10 * i)})
	}
	return out
}

// paths are the frames of samples that have a value of a type, the outermost first,
// with the sums of these values.
func paths(p *pprof.Profile, sampleType string) map[string]int64 {
	column := slices.IndexFunc(p.SampleType, func(t *pprof.ValueType) bool { return t.Type == sampleType })
	out := map[string]int64{}
	for _, s := range p.Sample {
		var names []string
		for _, l := range slices.Backward(s.Location) {
			names = append(names, l.Line[0].Function.Name)
		}
		if v := s.Value[column]; v != 0 {
			out[strings.Join(names, " < ")] += v
		}
	}
	return out
}

func TestFoldedByRole(t *testing.T) {
	for stack, want := range map[string]string{
		// x86-64, with and without what is inlined there.
		"entry_SYSCALL_64_after_hwframe do_syscall_64 x64_sys_call __x64_sys_bpf __sys_bpf bpf_map_put": "bpf(2) < bpf_map_put",
		"entry_SYSCALL_64_after_hwframe do_syscall_64 __do_sys_bpf.isra.0 bpf_map_put.part.0":           "bpf(2) < bpf_map_put",
		"entry_SYSENTER_compat_after_hwframe do_fast_syscall_32 __ia32_compat_sys_ioctl perf_ioctl":     "ioctl(2) < perf_ioctl",
		// arm64.
		"el0t_64_sync el0t_64_sync_handler el0_svc do_el0_svc el0_svc_common.constprop.0 invoke_syscall __arm64_sys_bpf __sys_bpf bpf_map_put": "bpf(2) < bpf_map_put",
		// The call is over, or hasn't a name.
		"entry_SYSCALL_64_after_hwframe do_syscall_64 syscall_exit_to_user_mode task_work_run __fput":  "exit to user mode < __fput",
		"el0t_64_sync el0_svc exit_to_user_mode_loop task_work_run ____fput":                           "exit to user mode < ____fput",
		"entry_SYSCALL_64_after_hwframe do_syscall_64 __fput":                                          "syscall < __fput",
		"ret_from_fork_asm ret_from_fork kthread worker_thread process_one_work bpf_map_free_deferred": "kworker < bpf_map_free_deferred",
		"ret_from_fork kthread rcu_tasks_kthread":                                                      "kthread < rcu_tasks_kthread",
		"do_syscall_64 __x64_sys_close __fput bpf_map_release":                                         "close(2) < __fput < bpf_map_release",
		// Not by its outermost frame alone, which a page fault has, too, and nowhere else.
		"el0t_64_sync el0_da do_mem_abort":                   "el0t_64_sync < el0_da < do_mem_abort",
		"do_syscall_64 __x64_sys_bpf bpf_prog_run __sys_bpf": "bpf(2) < bpf_prog_run < __sys_bpf",
		// What builds and boots differ in.
		"a.constprop.0.isra.7 b.cold c.llvm.1234 d.partial e.part.12":                                                          "a < b < c < d.partial < e",
		"bpf_prog_0123456789abcdef_drop bpf_prog_0123456789abcdef bpf_prog_abc bpf_trampoline_6442521032 bpf_trampoline_188_1": "bpf_prog_drop < bpf_prog < bpf_prog_abc < bpf_trampoline < bpf_trampoline",
	} {
		p, err := profileOf([]results.Death{{Path: "immediate", PutNS: 1, FreeNS: 2, FreedNS: 4, Stack: "s"}}, map[string][]results.Frame{"s": callers(stack)})
		if err != nil {
			t.Fatal(err)
		}
		want = "[strategy] immediate < " + want + " < [phase] free"
		if got := paths(Group(p), results.PhaseFree); got[want] != 2 || len(got) != 1 {
			t.Errorf("%s is\n%v\nwant %s", stack, got, want)
		}
	}
}

// TestGroupReadings: of time the strategy comes before the maps, of memory who holds it.
func TestGroupReadings(t *testing.T) {
	d := results.Death{
		Scenario: "churn-tt", Path: "tasks-trace", MapType: "Array", Outer: "ArrayOfMaps", MemBytes: 1 << 30, Stack: "module",
		PutNS: 1000, EnqueueNS: 1000, TasksTraceEndNS: 3_000_001_000, FreeNS: 3_000_001_000, FreedNS: 3_000_001_000,
		Owner: &results.Owner{OuterName: "agent_outer", Creator: "agent", Container: "c0ffee", Cgroup: "/docker/c0ffee"},
	}
	p := build(t, []results.Death{d})
	const stack = "bpf_prog_drop < helper_in_module < bpf_map_put < bpf_map_free_id < [phase] tasks_trace_gp"
	time := "[kernel] 6.12.117 < [strategy] tasks-trace < [container] c0ffee < [outer map] agent_outer < " + stack
	memory := "[kernel] 6.12.117 < [container] c0ffee < [outer map] agent_outer < [creator] agent < [strategy] tasks-trace < " + stack
	grouped := Group(p)
	for sampleType, want := range map[string]map[string]int64{
		results.PhaseLimbo:     {time: 3e9},
		SampleDeaths:           {time: 1},
		SampleLimboBytes:       {memory: 1 << 30},
		SampleLimboByteSeconds: {memory: 3 << 30},
	} {
		if got := paths(grouped, sampleType); !maps.Equal(got, want) {
			t.Errorf("%s: %v\nwant %v", sampleType, got, want)
		}
	}
	d.Owner = &results.Owner{OuterName: "agent_outer", Cgroup: "/system.slice"}
	inCgroup := strings.Replace(time, "[container] c0ffee", "[cgroup] /system.slice", 1)
	if got := paths(Group(build(t, []results.Death{d})), results.PhaseLimbo); got[inCgroup] != 3e9 {
		t.Errorf("without a container: %v\nwant %s", got, inCgroup)
	}
	if again := Group(grouped); again.String() != grouped.String() {
		t.Errorf("grouped twice it is\n%v\nnot\n%v", again, grouped)
	}
}

func TestGroupKeepsTotals(t *testing.T) {
	deaths := synthetic.Deaths(7, 3000)
	p := build(t, deaths)
	before := p.String()
	compareTotals(t, totals(Group(p), nil), wantTotals(deaths))
	b, c, _ := GroupSides([]*pprof.Profile{p, p}, []*pprof.Profile{p})
	for _, side := range append(b, c...) {
		compareTotals(t, totals(side, nil), wantTotals(deaths))
	}
	if p.String() != before {
		t.Error("the source has changed")
	}
	if l := slices.IndexFunc(Group(p).Sample, func(s *pprof.Sample) bool {
		return !s.HasLabel("kernel", "6.12.117") && s.HasLabel("scenario", "churn-rcu")
	}); l >= 0 {
		t.Errorf("sample %d has lost its labels", l)
	}
}

// Stacks of one update on two Debian kernels.
const (
	update612 = "entry_SYSCALL_64_after_hwframe do_syscall_64 __x64_sys_bpf __sys_bpf bpf_map_update_value bpf_fd_array_map_update_elem bpf_map_put"
	update72  = "entry_SYSCALL_64_after_hwframe do_syscall_64 x64_sys_call __x64_sys_bpf __sys_bpf map_update_elem bpf_map_update_value bpf_fd_array_map_update_elem bpf_map_put"
)

// TestDiffOfKernels: an update is one path on two kernels, of which one inlined a frame
// of it, and another function in the same place is another path.
func TestDiffOfKernels(t *testing.T) {
	side := func(name, kernel string, gp int64, stacks ...string) Run {
		r := profiled(t, name, 0, profiledScenario{kernel, "tasks-trace", 1, gp})
		b, frames := NewBuilder(), map[string][]results.Frame{}
		for _, s := range stacks {
			frames[s] = callers(s)
			if err := b.Add(&results.Death{Scenario: r.Run.Scenarios[0].ID, Path: "tasks-trace", Outer: "array-of-maps", Stack: s, MemBytes: 10,
				PutNS: 1000, EnqueueNS: 1001, TasksTraceEndNS: 1001 + gp, FreeNS: 1001 + gp, FreedNS: 1002 + gp}); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if r.Profile, err = b.Build(frames, MetaOf(r.Run)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	const group = "[strategy] tasks-trace < [outer map] array-of-maps < "
	const update = group + "bpf(2) < bpf_map_update_value < bpf_fd_array_map_update_elem < bpf_map_put < [phase] tasks_trace_gp"
	for _, c := range []struct {
		name            string
		base, candidate Run
		want            map[string]int64
		notes           []string
	}{
		{"inlined in the baseline", side("a", "6.12", 9000, update612), side("b", "7.2", 2000, update72), map[string]int64{update: -7000},
			[]string{"without the kernel, which differs: 7.2 against 6.12", "only one side has as frames: map_update_elem"}},
		{"inlined in the candidate", side("a", "7.2", 2000, update72), side("b", "6.12", 9000, update612), map[string]int64{update: 7000},
			[]string{"without the kernel, which differs: 6.12 against 7.2", "only one side has as frames: map_update_elem"}},
		{"two builds of one kernel", side("a", "7.2", 2000, update72), side("b", "7.2", 1000, update612), map[string]int64{"[kernel] 7.2 < " + update: -1000},
			[]string{"only one side has as frames: map_update_elem"}},
		{"both inlined something", side("a", "6.12", 9000, "__sys_bpf a b c bpf_map_put"), side("b", "7.2", 2000, "__sys_bpf a c d bpf_map_put"),
			map[string]int64{group + "bpf(2) < a < c < bpf_map_put < [phase] tasks_trace_gp": -7000}, []string{"7.2 against 6.12", "only one side has as frames: b, d"}},
		{"a function instead of another", side("a", "6.12", 9000, "__sys_bpf map_update bpf_map_put"), side("b", "7.2", 2000, "__sys_bpf map_delete bpf_map_put"),
			map[string]int64{group + "bpf(2) < map_update < bpf_map_put < [phase] tasks_trace_gp": -9000, group + "bpf(2) < map_delete < bpf_map_put < [phase] tasks_trace_gp": 2000}, []string{"7.2 against 6.12"}},
		{"another way on one side", side("a", "6.12", 9000, "__sys_bpf map_update bpf_map_put", "__sys_bpf map_update bpf_map_put", "__sys_bpf bpf_map_put"), side("b", "7.2", 2000, "__sys_bpf map_update bpf_map_put"),
			map[string]int64{group + "bpf(2) < map_update < bpf_map_put < [phase] tasks_trace_gp": -16000, group + "bpf(2) < bpf_map_put < [phase] tasks_trace_gp": -9000}, []string{"7.2 against 6.12"}},
	} {
		d, err := Diff(c.base, c.candidate)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := paths(d, results.PhaseTasksTraceGP); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v\nwant %v", c.name, got, c.want)
		}
		comments := strings.Join(d.Comments, "\n")
		for _, note := range c.notes {
			if !strings.Contains(comments, note) {
				t.Errorf("%s: no %q in %q", c.name, note, comments)
			}
		}
		if len(d.Comments) != 1+len(c.notes) {
			t.Errorf("%s: comments %q", c.name, d.Comments)
		}
	}
}
