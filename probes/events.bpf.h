/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef MAPPROF_EVENTS_BPF_H
#define MAPPROF_EVENTS_BPF_H

/*
 * The bytes that cross from the kernel to user space, defined here once; the
 * Go types are generated from these. Every time is bpf_ktime_get_ns(). Zero
 * means that the stage was not seen.
 */

enum event_kind {
	EVENT_DEATH = 1,
	EVENT_WAIT = 2,
	EVENT_GP = 3,
	EVENT_PROG = 4,
	EVENT_CGROUP = 5,
};

enum stage_kind {
	STAGE_NONE = 0,
	STAGE_RCU = 1,
	STAGE_TASKS_TRACE = 2,
};

enum free_wait {
	FREE_WAIT_RCU = 1,
	FREE_WAIT_TASKS = 2, /* RCU-tasks */
};

/* At most two grace periods in a row: tasks-trace, then RCU. */
#define MAX_STAGES 2

struct death_event {
	__u32 kind; /* EVENT_DEATH */
	__u32 map_id;
	__u64 put_ns;
	__u64 enqueue_ns[MAX_STAGES];
	__u64 end_ns[MAX_STAGES];
	__u64 free_ns;
	__u64 freed_ns;
	__u64 free_wait_ns; /* inside free, for a grace period or its callbacks */
	__u64 memory_pages; /* as charged, where the kernel keeps it (to 5.10) */
	__u32 stage_kind[MAX_STAGES];
	__u32 map_type;
	__u32 map_flags;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	__s32 stack_id; /* negative: an errno */
	__u32 cpu_put;
	__u32 cpu_free;
	__u32 tid;         /* of the last put */
	__u16 confirmed;   /* the put was the last: what follows it was seen */
	__u16 free_waits;  /* enum free_wait: what free_wait_ns is for */
	__u32 extra_elems; /* a hash map has one more element per CPU */
	__u32 elements;    /* in a map that allocates each: without preallocation */
	char map_name[16];
	char comm[16];
};
_Static_assert(sizeof(struct death_event) == 168, "death_event has padding");

enum owner_flag {
	OWNER_DEFER_KNOWN = 1, /* this kernel says whether it defers (20c20bd11a13) */
	OWNER_DEFER = 2,       /* taken out of an outer map that was in use */
	OWNER_PUT_UNSEEN = 4,  /* two puts raced: put_ns is when it was enqueued */
	OWNER_IN_TREE = 8,     /* its creator or its dropper descends from watch_pid */
};

/*
 * Whose a map is, and whose it was. It follows a death_event in one record where
 * owners are watched.
 */
struct owner {
	__u64 created_ns; /* 0: before the watching began */
	__u64 creator_cgroup;
	__u64 put_cgroup;
	__u32 creator_tgid;
	__u32 put_tgid;
	__u32 outer_id; /* of the outer map that it was last taken out of; 0: of none */
	__u32 outer_type;
	__u32 outer_sleepable; /* its sleepable users then (af66bfd3c853) */
	__u32 flags;           /* enum owner_flag */
	char creator_comm[16];
	char creator_exe[16]; /* the name of the file that it executed, as far as it fits */
	char outer_name[16];
};
_Static_assert(sizeof(struct owner) == 96, "owner has padding");

struct owned_death {
	struct death_event death;
	struct owner owner;
};
_Static_assert(sizeof(struct owned_death) == 264, "owned_death has padding");

struct wait_event {
	__u32 kind; /* EVENT_WAIT */
	__u32 expedited;
	__u64 start_ns;
	__u64 end_ns;
	__u32 tgid;
	__u32 tid;
};
_Static_assert(sizeof(struct wait_event) == 32, "wait_event has padding");

/* One grace period of the whole system, where its ends can be seen. */
struct gp_event {
	__u32 kind;    /* EVENT_GP */
	__u32 gp_kind; /* enum stage_kind */
	__u64 start_ns;
	__u64 end_ns;
};
_Static_assert(sizeof(struct gp_event) == 24, "gp_event has padding");

#define MAX_PROG_MAPS 32

/* A sleepable program that uses maps was loaded, or is freed. */
struct prog_event {
	__u32 kind; /* EVENT_PROG */
	__u32 id;
	__u64 at_ns;
	__u32 freed;
	__u32 used_maps; /* may be more than there is room for */
	char name[16];
	char comm[16];             /* of who loaded it */
	__u32 maps[MAX_PROG_MAPS]; /* ids */
};
_Static_assert(sizeof(struct prog_event) == 184, "prog_event has padding");

/* A cgroup was made, with its path below the root. */
struct cgroup_event {
	__u32 kind; /* EVENT_CGROUP */
	__u32 unused;
	__u64 id;
	char path[384];
};
_Static_assert(sizeof(struct cgroup_event) == 400, "cgroup_event has padding");

enum counter {
	COUNTER_PUTS = 0, /* last puts of watched maps: confirmed, or known by their free */
	/* Last puts seen: a death has up to four, in functions that call each other. */
	COUNTER_EXCLUDED_OWN,        /* of the tracer's own maps */
	COUNTER_EXCLUDED_OTHER,      /* of maps that are not watched */
	COUNTER_INFLIGHT_FULL,       /* a put found no room in the in-flight table */
	COUNTER_INFLIGHT_BUSY,       /* its bucket was locked on this CPU */
	COUNTER_STALE,               /* an address died twice: its first free was missed */
	COUNTER_RINGBUF_FULL,        /* a death found no room in the ring buffer */
	COUNTER_WAIT_RINGBUF_FULL,   /* an update wait found none */
	COUNTER_WAITS_FULL,          /* no room in the table of waiting tasks */
	COUNTER_FREEING_FULL,        /* a death found no room in the table of freeing workers */
	COUNTER_UNMATCHED_FREE,      /* a watched map was freed whose put was not seen */
	COUNTER_UNMATCHED_EXIT,      /* a death whose free was seen to start and not to end */
	COUNTER_UNMATCHED_WAIT,      /* a wait ended whose start was not seen */
	COUNTER_UNMATCHED_CALLBACK,  /* a callback ran whose call_rcu*() was not seen */
	COUNTER_STACK_COLLISION,     /* a stack's hash bucket held another stack */
	COUNTER_STACK_ERROR,         /* no stack for another reason */
	COUNTER_WAITS,               /* update waits that ended */
	COUNTER_GP_RINGBUF_FULL,     /* a grace period found no room in the ring buffer */
	COUNTER_OWNERS_FULL,         /* a map found no room in the table of owners */
	COUNTER_PROG_RINGBUF_FULL,   /* a sleepable program found no room in the ring buffer */
	COUNTER_CGROUP_RINGBUF_FULL, /* a cgroup's path found none */
	COUNTER_STACK_GUESS,         /* a stack was taken for another, as a check found */
	COUNTERS,
};

#endif
