/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef MAPPROF_ELEMENTS_BPF_H
#define MAPPROF_ELEMENTS_BPF_H

/* How many elements a map holds that allocates each. Include kernel.bpf.h before. */

const volatile __u32 possible_cpus = 1;
/* The address of __per_cpu_offset[]; 0: not known. */
const volatile __u64 per_cpu_offset = 0;

#define MAX_CPUS 512

/*
 * How many elements a hash without preallocation has. CPUs count up to a batch
 * of changes each before they add them to a percpu_counter's sum.
 */
static __always_inline __u32 htab_elements(struct bpf_htab *htab)
{
	__u64 offset;
	__s32 *counters, here;
	__s64 n;

	if (!bpf_core_field_exists(htab->use_percpu_counter) ||
	    !BPF_CORE_READ(htab, use_percpu_counter))
		return BPF_CORE_READ(htab, count.counter);
	n = BPF_CORE_READ(htab, pcount.count);
	counters = BPF_CORE_READ(htab, pcount.counters);
	for (__u32 cpu = 0; cpu < MAX_CPUS; cpu++) {
		if (!per_cpu_offset || cpu >= possible_cpus)
			break;
		if (bpf_probe_read_kernel(&offset, sizeof(offset),
					  (void *)(per_cpu_offset + cpu * sizeof(offset))))
			break;
		if (!bpf_probe_read_kernel(&here, sizeof(here), (void *)counters + offset))
			n += here;
	}
	return n > 0 ? n : 0;
}

/* How many elements a map has now that allocates each. */
static __always_inline __u32 elements_of(struct bpf_map *map, __u32 type, __u32 flags)
{
	if (type == BPF_MAP_TYPE_LPM_TRIE)
		return BPF_CORE_READ((struct lpm_trie *)map, n_entries);
	if (flags & BPF_F_NO_PREALLOC &&
	    (type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_PERCPU_HASH ||
	     type == BPF_MAP_TYPE_HASH_OF_MAPS))
		return htab_elements((struct bpf_htab *)map);
	return 0;
}

#endif
