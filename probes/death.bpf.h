/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef MAPPROF_DEATH_BPF_H
#define MAPPROF_DEATH_BPF_H

/*
 * What is known of a map's death, and what each event adds to it. The programs
 * that see the events are in hooks.bpf.c.
 *
 * State is kept by struct bpf_map * (lives.bpf.h); one record leaves per
 * death, when bpf_map_free_deferred returns. Since kernel 876673364161 the map
 * holds `work` and `rcu` in one union, so that the address given to call_rcu*()
 * and to the worker leads back to the map.
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "arch.bpf.h"
#include "events.bpf.h"
#include "kernel.bpf.h"
#include "elements.bpf.h"
#include "description.bpf.h"

/* What a name begins with, by the bytes of a mask: two words are compared, not 16 bytes. */
struct prefix {
	__u64 words[2];
	__u64 mask[2];
};

/* Only maps whose name starts with this are watched; without a mask: all. */
const volatile struct prefix watched_names = {};
/* The tracer's own maps are called this; without a mask: none is. */
const volatile struct prefix own_names = {};
#define WAITS_OF_ALL (~0U)
/* Update waits are recorded for this process only; 0: for none, WAITS_OF_ALL: for all. */
const volatile __u32 wait_tgid = 0;
/* Keep whose each map is. */
const volatile __u32 watch_owners = 0;
/* Not yet, deaths that start now, the ends of those that have started. */
enum watch_state {
	READY_NOT,
	READY_STARTS,
	READY_ENDS,
};
__u32 ready = READY_NOT;
/* By enum stage_kind; each is written by the one kthread of its kind. */
__u64 gp_start_ns[3] = {};

struct wait {
	__u64 start_ns;
	__u32 function; /* enum wait_function */
	__u16 expedited;
	__u16 kinds; /* enum free_wait */
};

enum wait_function {
	WAIT_SYNC,
	WAIT_SYNC_EXPEDITED,
	WAIT_BARRIER,
	WAIT_GP,
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32); /* thread id */
	__type(value, struct wait);
} mpf_waits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} mpf_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} mpf_counters SEC(".maps");

/* bpf2go generates Go types for what is used only by value. */
const enum event_kind *unused_event_kind __attribute__((unused));
const enum stage_kind *unused_stage_kind __attribute__((unused));
const enum free_wait *unused_free_wait __attribute__((unused));
const enum counter *unused_counter __attribute__((unused));
const enum watch_state *unused_watch_state __attribute__((unused));
const struct wait_event *unused_wait_event __attribute__((unused));
const struct gp_event *unused_gp_event __attribute__((unused));
const struct prog_event *unused_prog_event __attribute__((unused));
const struct cgroup_event *unused_cgroup_event __attribute__((unused));
const struct death_event *unused_death_event __attribute__((unused));
const struct freeing *unused_freeing __attribute__((unused));
const struct owned_death *unused_owned_death __attribute__((unused));
const enum owner_flag *unused_owner_flag __attribute__((unused));

static __always_inline void count(__u32 counter)
{
	__u64 *n = bpf_map_lookup_elem(&mpf_counters, &counter);

	/* An interrupt may count on this CPU in between. */
	if (n)
		__sync_fetch_and_add(n, 1);
}

static __always_inline int begins_with(const __u64 *name, const volatile struct prefix *prefix)
{
	return !(((name[0] ^ prefix->words[0]) & prefix->mask[0]) |
		 ((name[1] ^ prefix->words[1]) & prefix->mask[1]));
}

/* Whether a map of that name is watched; counts the exclusion where not. */
static __always_inline int watched(const __u64 *name, int counting)
{
	if (own_names.mask[0] && begins_with(name, &own_names)) {
		if (counting)
			count(COUNTER_EXCLUDED_OWN);
		return 0;
	}
	if (!begins_with(name, &watched_names)) {
		if (counting)
			count(COUNTER_EXCLUDED_OTHER);
		return 0;
	}
	return 1;
}

#include "lives.bpf.h"
#include "stack.bpf.h"
#include "owner.bpf.h"

/* How a program is called: where its ctx lies, and what the verifier knows of the map. */
enum call {
	CALL_TYPED,  /* ctx is on the stack, right below the call's return address */
	CALL_FENTRY, /* there, too, but the map is a number */
	CALL_OTHER,  /* ctx is elsewhere, the map is a number */
};

/* What a death begins with, but for the time of the put. */
static __always_inline void begin(void *ctx, enum call call, struct bpf_map *map,
				  const struct description *description, struct death_event *life)
{
	life->kind = EVENT_DEATH;
	life->map_type = DESCRIBED(description, map, map_type);
	life->map_flags = DESCRIBED(description, map, map_flags);
	life->key_size = DESCRIBED(description, map, key_size);
	life->value_size = DESCRIBED(description, map, value_size);
	life->max_entries = DESCRIBED(description, map, max_entries);
	if (bpf_core_field_exists(map->memory.pages))
		life->memory_pages = BPF_CORE_READ(map, memory.pages);
	if (life->map_type == BPF_MAP_TYPE_HASH || life->map_type == BPF_MAP_TYPE_HASH_OF_MAPS)
		life->extra_elems = BPF_CORE_READ((struct bpf_htab *)map, extra_elems) != NULL;
	life->elements = elements_of(map, life->map_type, life->map_flags);
	life->cpu_put = bpf_get_smp_processor_id();
	bpf_get_current_comm(life->comm, sizeof(life->comm));
	life->stack_id =
		call == CALL_OTHER ? bpf_get_stackid(ctx, &mpf_stacks, 0) : stack_of_call(ctx);
	if (life->stack_id == -17 /* EEXIST */)
		count(COUNTER_STACK_COLLISION);
	else if (life->stack_id < 0)
		count(COUNTER_STACK_ERROR);
}

/*
 * A put, before its decrement. Nested puts (bpf_map_release() calls
 * bpf_map_put_with_uref() calls bpf_map_put()) move the time forward, to what
 * is nearest to the decrement.
 */
static __always_inline int on_put(void *ctx, enum call call, struct bpf_map *map, __u64 address)
{
	struct description description;
	struct death_event *life;
	__u64 name[2];
	__u32 id, tid;

	if (ready != READY_STARTS)
		return 0;
	if (call != CALL_TYPED)
		describe(map, &description);
	if (call == CALL_TYPED ? map->refcnt.counter != 1 : references(map, &description) != 1)
		return 0;
	id = call == CALL_TYPED ? map->id : DESCRIBED(&description, map, id);
	tid = bpf_get_current_pid_tgid();
	life = life_of(address);
	if (life && !life->confirmed && life->map_id == id && life->tid == tid) {
		life->put_ns = bpf_ktime_get_ns();
		return 0;
	}
	if (call == CALL_TYPED)
		describe(map, &description);
	read_name(name, map, &description);
	if (!watched(name, 1))
		return 0;
	if (watch_owners && !owner_puts(map, id))
		return 0;
	if (life && life->confirmed)
		count(COUNTER_STALE);
	if (life)
		*life = no_life;
	else
		life = new_life(address);
	/* If it is the last put and there is no room, then the free will count a lost death. */
	if (!life)
		return 0;
	life->map_id = id;
	life->tid = tid;
	__builtin_memcpy(life->map_name, name, sizeof(name));
	begin(ctx, call, map, &description, life);
	/* The put itself comes after us: our own time is not its. */
	life->put_ns = bpf_ktime_get_ns();
	return 0;
}

static __always_inline void confirm(struct death_event *life)
{
	if (life->confirmed)
		return;
	life->confirmed = 1;
	count(COUNTER_PUTS);
}

/* A death whose last put was before the watching. It is kept until its free, unrecorded. */
static __always_inline int is_early(struct death_event *life)
{
	return life->kind != EVENT_DEATH;
}

/*
 * A map is enqueued whose last put made no candidate: two CPUs dropped its last
 * two references at once, and each saw the other's. Its death begins here. Before the
 * watching no put makes one, and its death is an early one. The callback tells that it
 * is a map.
 */
static __always_inline struct death_event *begin_unseen(void *ctx, struct bpf_map *map,
							__u64 callback)
{
	struct description description;
	struct death_event *life;
	__u64 name[2];
	__u32 id;

	if (!watch_owners || ready == READY_ENDS || !frees_maps(callback))
		return 0;
	if (ready == READY_NOT) {
		new_life((__u64)map);
		return 0;
	}
	describe(map, &description);
	id = DESCRIBED(&description, map, id);
	if (!owner_puts(map, id))
		return 0;
	owner_unseen(map);
	life = new_life((__u64)map);
	if (!life)
		return 0;
	life->map_id = id;
	life->tid = bpf_get_current_pid_tgid();
	read_name(name, map, &description);
	__builtin_memcpy(life->map_name, name, sizeof(name));
	begin(ctx, CALL_OTHER, map, &description, life);
	life->put_ns = bpf_ktime_get_ns();
	return life;
}

static __always_inline struct bpf_map *map_of_head(void *head)
{
	struct bpf_map *map = 0;

	/* Absent before the deferral (876673364161) was backported. */
	if (!bpf_core_field_exists(map->rcu))
		return 0;
	return head - bpf_core_field_offset(map->rcu);
}

static __always_inline struct death_event *life_of_head(void *head)
{
	struct bpf_map *map = map_of_head(head);

	return map ? life_of((__u64)map) : 0;
}

/* A wait begins. A nested call for the same head changes nothing. */
static __always_inline int on_enqueue(void *ctx, void *head, __u64 callback, __u32 kind)
{
	struct death_event *life;

	if (is_foreign(callback))
		return 0;
	life = life_of_head(head);
	if (!life && map_of_head(head))
		life = begin_unseen(ctx, map_of_head(head), callback);
	if (!life || is_early(life))
		return 0;
	confirm(life);
	if (life->stage_kind[0] == STAGE_NONE) {
		life->stage_kind[0] = kind;
		life->enqueue_ns[0] = bpf_ktime_get_ns();
	} else if (life->end_ns[0] && life->stage_kind[1] == STAGE_NONE) {
		life->stage_kind[1] = kind;
		life->enqueue_ns[1] = bpf_ktime_get_ns();
	}
	return 0;
}

/*
 * A callback runs. bpf_map_free_mult_rcu_gp() calls bpf_map_free_rcu_gp()
 * directly where tasks-trace implies RCU: the second finds no open wait.
 */
static __always_inline int on_callback(void *head)
{
	struct death_event *life = life_of_head(head);

	if (!life || is_early(life))
		return 0;
	if (life->stage_kind[0] == STAGE_NONE)
		count(COUNTER_UNMATCHED_CALLBACK);
	else if (!life->end_ns[0])
		life->end_ns[0] = bpf_ktime_get_ns();
	else if (life->stage_kind[1] != STAGE_NONE && !life->end_ns[1])
		life->end_ns[1] = bpf_ktime_get_ns();
	return 0;
}

/* The map is given to a worker: at once, or by the last callback. */
static __always_inline int on_queue(void *ctx, struct work_struct *work)
{
	struct death_event *life;
	struct bpf_map *map = 0;

	map = (void *)work - bpf_core_field_offset(map->work);
	life = life_of((__u64)map);
	if (!life && watch_owners)
		life = begin_unseen(ctx, map, (__u64)BPF_CORE_READ(work, func));
	if (life && !is_early(life))
		confirm(life);
	return 0;
}

/* The worker freed another map before, perhaps one whose end was not seen. */
static __always_inline void forget(struct freeing *before)
{
	if (before->life.death.kind == EVENT_DEATH)
		count(COUNTER_UNMATCHED_EXIT);
}

static __always_inline int on_free_entry(void *work)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct bpf_map *map = 0;
	struct freeing *freeing;
	struct death_event *life;
	__u64 name[2] = {};
	__u32 recorded;
	__u64 key, now;

	map = work - bpf_core_field_offset(map->work);
	key = (__u64)map;
	life = life_of(key);
	recorded = life && !is_early(life);
	freeing = freeing_of(tid);
	if (recorded) {
		confirm(life);
	} else if (life) {
		if (ready != READY_NOT)
			count(COUNTER_EXCLUDED_OTHER);
	} else {
		/* Perhaps it has been seen already, by another copy of the program. */
		if (ready == READY_NOT || (freeing && freeing->map == key))
			return 0;
		BPF_CORE_READ_INTO(&name, map, name);
		if (!watched(name, 0) ||
		    (watch_owners && owner_is_tracer(map, BPF_CORE_READ(map, id))))
			return 0;
		/* Other programs go on dropping maps when the watching is over. */
		if (watch_owners && ready != READY_STARTS) {
			count(COUNTER_EXCLUDED_OTHER);
			return 0;
		}
		count(COUNTER_PUTS);
		count(COUNTER_UNMATCHED_FREE);
	}
	now = bpf_ktime_get_ns();
	if (freeing)
		forget(freeing);
	else
		freeing = new_freeing(tid);
	if (!freeing && recorded)
		count(COUNTER_FREEING_FULL);
	if (freeing) {
		changes(freeing);
		freeing->map = key;
		if (recorded) {
			freeing->life.death = *life;
			freeing->life.death.free_ns = now;
			freeing->life.death.cpu_free = bpf_get_smp_processor_id();
			if (watch_owners)
				owner_leaves(map, &freeing->life.owner);
		} else {
			/* Only so that the other copy doesn't count it again. */
			freeing->life.death.kind = 0;
			freeing->life.death.map_id = 0;
		}
		changes(freeing);
	}
	if (life)
		life_ends(key);
	return 0;
}

/*
 * A wakeup from here would preempt the worker inside the program, and keep a
 * CPU from being idle for RCU. User space is woken only when half of the
 * buffer is full, and looks by itself when the workload has ended.
 */
static __always_inline __u64 wakeup(void)
{
	if (bpf_ringbuf_query(&mpf_events, BPF_RB_AVAIL_DATA) >
	    bpf_ringbuf_query(&mpf_events, BPF_RB_RING_SIZE) / 2)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

static __always_inline int on_free_exit(void)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct freeing *freeing = freed_by(tid);

	if (!freeing)
		return 0;
	freeing->life.death.freed_ns = bpf_ktime_get_ns();
	if (freeing->life.death.kind == EVENT_DEATH &&
	    bpf_ringbuf_output(&mpf_events, &freeing->life,
			       watch_owners ? sizeof(freeing->life) : sizeof(freeing->life.death),
			       wakeup()))
		count(COUNTER_RINGBUF_FULL);
	freeing_ends(freeing, tid);
	return 0;
}

#endif
