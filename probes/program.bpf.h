/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef MAPPROF_PROGRAM_BPF_H
#define MAPPROF_PROGRAM_BPF_H

/* Which sleepable programs use which maps, and when. */
#include "death.bpf.h"

/*
 * A program was loaded, or is freed. Sleepable ones that use maps keep these on the
 * slower path meanwhile (af66bfd3c853).
 */
static __always_inline int on_prog(struct bpf_prog *prog, struct bpf_prog_aux *aux, __u32 freed)
{
	struct prog_event event = {};
	struct bpf_map **maps, *map;

	if (ready == READY_NOT || !is_sleepable(prog, aux))
		return 0;
	event.used_maps = BPF_CORE_READ(aux, used_map_cnt);
	if (!event.used_maps)
		return 0;
	event.kind = EVENT_PROG;
	event.id = BPF_CORE_READ(aux, id);
	event.freed = freed;
	event.at_ns = bpf_ktime_get_ns();
	BPF_CORE_READ_INTO(&event.name, aux, name);
	bpf_get_current_comm(event.comm, sizeof(event.comm));
	maps = BPF_CORE_READ(aux, used_maps);
	for (int i = 0; i < MAX_PROG_MAPS; i++) {
		if (i >= event.used_maps || bpf_probe_read_kernel(&map, sizeof(map), &maps[i]))
			break;
		event.maps[i] = BPF_CORE_READ(map, id);
	}
	if (bpf_ringbuf_output(&mpf_events, &event, sizeof(event), wakeup()))
		count(COUNTER_PROG_RINGBUF_FULL);
	return 0;
}

#endif
