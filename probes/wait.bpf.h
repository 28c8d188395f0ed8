/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef MAPPROF_WAIT_BPF_H
#define MAPPROF_WAIT_BPF_H

/*
 * Waits for a grace period, of an update or in a map's free, and the grace periods of
 * the system.
 */
#include "death.bpf.h"

/*
 * synchronize_rcu() may call synchronize_rcu_expedited(): one wait, which is
 * expedited. It may call __wait_rcu_gp() too, which is all that a wait for several
 * grace periods at once calls (synchronize_rcu_mult(), a macro). A wait of the same
 * function that is open already was not seen to end.
 */
static __always_inline int on_wait_entry(__u32 function)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 tid = pid_tgid;
	struct wait *old, wait = {};

	if (!freed_by(tid) && (ready != READY_STARTS || !waits_count(pid_tgid >> 32)))
		return 0;
	old = bpf_map_lookup_elem(&mpf_waits, &tid);
	if (old && old->function != function) {
		old->expedited |= function == WAIT_SYNC_EXPEDITED;
		return 0;
	}
	if (old)
		count(COUNTER_UNMATCHED_WAIT);
	wait.function = function;
	wait.expedited = function == WAIT_SYNC_EXPEDITED;
	wait.kinds = FREE_WAIT_RCU;
	wait.start_ns = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&mpf_waits, &tid, &wait, BPF_ANY))
		count(COUNTER_WAITS_FULL);
	return 0;
}

/* __wait_rcu_gp() calls this for its own task, among others. */
static __always_inline int on_call_tasks(void)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct wait *wait = bpf_map_lookup_elem(&mpf_waits, &tid);

	if (wait && wait->function == WAIT_GP)
		wait->kinds |= FREE_WAIT_TASKS;
	return 0;
}

static __always_inline int on_wait_exit(__u32 function)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 tid = pid_tgid;
	struct wait *wait = bpf_map_lookup_elem(&mpf_waits, &tid);
	struct wait_event event = {};
	struct freeing *freeing;
	__u16 kinds;

	if (!wait || wait->function != function)
		return 0;
	event.start_ns = wait->start_ns;
	event.expedited = wait->expedited;
	kinds = wait->kinds;
	bpf_map_delete_elem(&mpf_waits, &tid);

	freeing = freed_by(tid);
	if (freeing) {
		freeing->life.death.free_wait_ns += now - event.start_ns;
		freeing->life.death.free_waits |= kinds;
		return 0;
	}
	/* No update of a map waits in these alone. */
	if (function == WAIT_BARRIER || function == WAIT_GP)
		return 0;
	event.kind = EVENT_WAIT;
	event.end_ns = now;
	event.tgid = pid_tgid >> 32;
	event.tid = tid;
	count(COUNTER_WAITS);
	if (bpf_ringbuf_output(&mpf_events, &event, sizeof(event), wakeup()))
		count(COUNTER_WAIT_RINGBUF_FULL);
	return 0;
}

static __always_inline int on_gp_start(__u32 kind)
{
	if (ready != READY_NOT)
		gp_start_ns[kind] = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int on_gp_end(__u32 kind)
{
	struct gp_event event = {};

	event.start_ns = gp_start_ns[kind];
	if (!event.start_ns)
		return 0;
	gp_start_ns[kind] = 0;
	event.end_ns = bpf_ktime_get_ns();
	event.kind = EVENT_GP;
	event.gp_kind = kind;
	if (bpf_ringbuf_output(&mpf_events, &event, sizeof(event), wakeup()))
		count(COUNTER_GP_RINGBUF_FULL);
	return 0;
}

#endif
