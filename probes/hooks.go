// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import "slices"

// Stages of a death that a hook makes visible.
const (
	StagePut        = "last put"
	StageEnqueue    = "enqueue"
	StageCallback   = "callback"
	StageQueue      = "queue"
	StageFree       = "free"
	StageUpdateWait = "update wait"
	StageFreeWait   = "wait in the free"
	// StageGracePeriod is no stage of a death but the system's own.
	StageGracePeriod = "grace period"
)

// hook is one kernel function that the tracer wants to see. A hook has a
// program for the entry and, where the return matters, one for the exit.
type hook struct {
	stage    string
	function string
	required bool
	// copies: attach every program of it so often (0: once). The kernel skips
	// a tracing program that is active on its CPU already (prog->active), and
	// a task may be preempted inside one. Another copy catches the calls for
	// which the first was skipped; a call that two copies see is recorded
	// once. Two are enough where few tasks pass at a time. Maps are freed by as many workers as
	// there are maps to free, and under preempt=full any of them may be
	// preempted: of 10,000 deaths two copies lost up to 11.
	copies int
	// tasksOnly: no interrupt calls the function. So there copies are of no use where
	// no task is preempted, and one is attached.
	tasksOnly bool
	// Names of the BPF programs, by mechanism.
	fentry, fexit, kprobe, kretprobe string
}

// hooks lists every function, in the order of a death. To watch another one,
// add its programs to hooks.bpf.c and a line here.
//
// Not every kernel has every function: call_rcu_tasks_trace is an inline
// around call_srcu since 7.0; bpf_map_free_mult_rcu_gp is gone since 7.1, and
// bpf_map_free_rcu_gp is inlined into it up to 6.6 or so.
var hooks = []hook{
	{stage: StageFree, function: "bpf_map_free_deferred", copies: 4, tasksOnly: true, required: true, fentry: "fe_free", fexit: "fx_free", kprobe: "kp_free", kretprobe: "krp_free"},
	{stage: StageCallback, function: "bpf_map_free_mult_rcu_gp", copies: 2, fentry: "fe_cb_mult", kprobe: "kp_cb_mult"},
	{stage: StageCallback, function: "bpf_map_free_rcu_gp", copies: 2, fentry: "fe_cb_rcu", kprobe: "kp_cb_rcu"},
	{stage: StageEnqueue, function: "call_rcu", copies: 2, fentry: "fe_call_rcu", kprobe: "kp_call_rcu"},
	{stage: StageEnqueue, function: "call_rcu_tasks_trace", copies: 2, fentry: "fe_call_tt", kprobe: "kp_call_tt"},
	{stage: StageEnqueue, function: "call_srcu", copies: 2, fentry: "fe_call_srcu", kprobe: "kp_call_srcu"},
	{stage: StageUpdateWait, function: "synchronize_rcu", fentry: "fe_sync", fexit: "fx_sync", kprobe: "kp_sync", kretprobe: "krp_sync"},
	{stage: StageUpdateWait, function: "synchronize_rcu_expedited", fentry: "fe_sync_exp", fexit: "fx_sync_exp", kprobe: "kp_sync_exp", kretprobe: "krp_sync_exp"},
	{stage: StageUpdateWait, function: "rcu_barrier", fentry: "fe_barrier", fexit: "fx_barrier", kprobe: "kp_barrier", kretprobe: "krp_barrier"},
	{stage: StageFreeWait, function: "__wait_rcu_gp", fentry: "fe_wait_gp", fexit: "fx_wait_gp", kprobe: "kp_wait_gp", kretprobe: "krp_wait_gp"},
	{stage: StageFreeWait, function: "call_rcu_tasks", fentry: "fe_call_tasks", kprobe: "kp_call_tasks"},
	{stage: StageGracePeriod, function: "rcu_gp_cleanup", fentry: "fe_gp_cleanup", kprobe: "kp_gp_cleanup"},
	{stage: StageGracePeriod, function: "rcu_gp_init", fentry: "fe_gp_init", kprobe: "kp_gp_init"},
	{stage: StageGracePeriod, function: "rcu_tasks_trace_postgp", fentry: "fe_tt_postgp", kprobe: "kp_tt_postgp"},
	{stage: StageGracePeriod, function: "rcu_tasks_trace_pregp_step", fentry: "fe_tt_pregp", kprobe: "kp_tt_pregp"},
	{stage: StageQueue, function: "queue_work_on", copies: 2, required: true, fentry: "fe_queue", kprobe: "kp_queue"},
	{stage: StagePut, function: "bpf_map_put", copies: 2, required: true, fentry: "fe_put", kprobe: "kp_put"},
	{stage: StagePut, function: "bpf_map_put_with_uref", fentry: "fe_put_uref", kprobe: "kp_put_uref"},
	{stage: StagePut, function: "bpf_map_release", fentry: "fe_release", kprobe: "kp_release"},
}

func (h hook) programs(mechanism string) []string {
	entry, exit := h.fentry, h.fexit
	if mechanism == MechanismKprobe {
		entry, exit = h.kprobe, h.kretprobe
	}
	// The exit first: an entry that fires before it is attached would leave
	// state behind that nobody ends.
	return slices.DeleteFunc([]string{exit, entry}, func(s string) bool { return s == "" })
}
