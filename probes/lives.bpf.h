/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef MAPPROF_LIVES_BPF_H
#define MAPPROF_LIVES_BPF_H

/*
 * The deaths under way, by the address of their map. Included by death.bpf.h.
 *
 * An insertion into a hash and a deletion cost more than all else that is done with a
 * death. So a death takes the seat that follows from its map's address, and goes into the
 * hash only where another one has that seat.
 */
#include "arch.bpf.h"

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
 * Whether a free seat is the caller's now. Two CPUs may claim it at once: the second to
 * count itself finds two. Without the atomic operations that 5.10 does not have.
 */
static __always_inline int takes(struct seat *seat)
{
	if (!seated || seat->claims)
		return 0;
	__sync_fetch_and_add(&seat->claims, 1);
	if (*(volatile __u32 *)&seat->claims == 1)
		return 1;
	__sync_fetch_and_add(&seat->claims, -1);
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

	if (takes(seat)) {
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

#endif
