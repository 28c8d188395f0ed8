/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef MAPPROF_LIVES_BPF_H
#define MAPPROF_LIVES_BPF_H

/*
 * The deaths under way, by the address of their map, and then by the worker that frees
 * it: the address may be another map's before bpf_map_free_deferred() has returned.
 * Included by death.bpf.h.
 *
 * An insertion into a hash and a deletion cost more than all else that is done with a
 * death. So a death takes the seat that follows from its map's address, a worker the desk
 * that follows from its thread id, and only where these are another's there is an entry in a
 * hash.
 */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64); /* struct bpf_map * */
	__type(value, struct death_event);
} mpf_inflight SEC(".maps");

static const struct death_event no_life = {};

struct seat {
	__u64 map;    /* 0: it is free, or not quite taken or left */
	__u32 claims; /* of how many CPUs; who finds itself alone has it */
	__u32 unused;
	struct death_event life;
};

#define SEATS_BITS 12
#define SEATS      (1 << SEATS_BITS)

struct seat seats[SEATS] = {};
/* Whether seats are taken: not where a CPU may see the stores of another in another order. */
const volatile __u32 seated = 0;
/* How many deaths are in the hash. */
__u64 unseated = 0;

static __always_inline struct seat *seat_of(__u64 map)
{
	return &seats[map * 0x9e3779b97f4a7c15 >> (64 - SEATS_BITS)];
}

/*
 * Whether a place that is free is the caller's now. Two CPUs may claim it at once: the
 * second to count itself finds two. Without the atomic operations that 5.10 does not have.
 */
static __always_inline int takes(__u32 *claims)
{
	if (*claims)
		return 0;
	__sync_fetch_and_add(claims, 1);
	if (*(volatile __u32 *)claims == 1)
		return 1;
	__sync_fetch_and_add(claims, -1);
	return 0;
}

/* The death of a map; 0: none is under way. */
static __always_inline struct death_event *life_of(__u64 map)
{
	struct seat *seat = seat_of(map);

	if (seat->map == map)
		return &seat->life;
	return unseated ? bpf_map_lookup_elem(&mpf_inflight, &map) : 0;
}

/* An empty entry for a map that has none; 0: there is no room. */
static __always_inline struct death_event *new_life(__u64 map)
{
	struct seat *seat = seat_of(map);
	long err;

	if (seated && takes(&seat->claims)) {
		seat->life = no_life;
		*(volatile __u64 *)&seat->map = map;
		return &seat->life;
	}
	err = bpf_map_update_elem(&mpf_inflight, &map, (void *)&no_life, BPF_ANY);
	if (!err) {
		__sync_fetch_and_add(&unseated, 1);
		return bpf_map_lookup_elem(&mpf_inflight, &map);
	}
	count(err == -7 /* E2BIG */ ? COUNTER_INFLIGHT_FULL : COUNTER_INFLIGHT_BUSY);
	return 0;
}

/* A map's death is under way no longer. */
static __always_inline void life_ends(__u64 map)
{
	struct seat *seat = seat_of(map);

	if (seat->map == map) {
		*(volatile __u64 *)&seat->map = 0;
		__sync_fetch_and_add(&seat->claims, -1);
	} else if (!bpf_map_delete_elem(&mpf_inflight, &map)) {
		__sync_fetch_and_add(&unseated, -1);
	}
}

struct freeing {
	__u64 map;     /* 0: the worker frees none now */
	__u32 changes; /* odd while the rest is written */
	__u32 claims;  /* of a desk, as of a seat */
	__u32 tid;     /* of the worker whose desk it is; 0: nobody's */
	__u32 unused;
	struct owned_death life; /* death.kind 0: its put was not recorded */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32); /* thread id of the worker */
	__type(value, struct freeing);
} mpf_freeing SEC(".maps");

#define DESKS 1024

/* A worker keeps its desk. There are as many as a machine has workers in some hours. */
struct freeing desks[DESKS] = {};
/* How many workers free a map without a desk. */
__u64 undesked = 0;

/* What a thread frees or has freed; 0: not known. */
static __always_inline struct freeing *freeing_of(__u32 tid)
{
	struct freeing *desk = &desks[tid % DESKS];

	if (desk->tid == tid)
		return desk;
	return undesked ? bpf_map_lookup_elem(&mpf_freeing, &tid) : 0;
}

/* The map that a thread frees now; 0: none. */
static __always_inline struct freeing *freed_by(__u32 tid)
{
	struct freeing *freeing = freeing_of(tid);

	return freeing && freeing->map ? freeing : 0;
}

/* An entry for a thread of which freeing_of() knows nothing; 0: there is no room. */
static __always_inline struct freeing *new_freeing(__u32 tid)
{
	struct freeing *desk = &desks[tid % DESKS];
	static const struct freeing none = {};

	if (takes(&desk->claims)) {
		*(volatile __u32 *)&desk->tid = tid;
		return desk;
	}
	if (bpf_map_update_elem(&mpf_freeing, &tid, (void *)&none, BPF_ANY))
		return 0;
	__sync_fetch_and_add(&undesked, 1);
	return bpf_map_lookup_elem(&mpf_freeing, &tid);
}

/* Before an entry is written, and after. */
static __always_inline void changes(struct freeing *freeing)
{
	asm volatile("" ::: "memory");
	freeing->changes++;
	asm volatile("" ::: "memory");
}

static __always_inline void freeing_ends(struct freeing *freeing, __u32 tid)
{
	if (desks[tid % DESKS].tid != tid) {
		if (!bpf_map_delete_elem(&mpf_freeing, &tid))
			__sync_fetch_and_add(&undesked, -1);
		return;
	}
	changes(freeing);
	freeing->life.death.kind = 0;
	freeing->map = 0;
	changes(freeing);
}

#endif
