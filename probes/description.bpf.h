/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef MAPPROF_DESCRIPTION_BPF_H
#define MAPPROF_DESCRIPTION_BPF_H

/* What a map is: its type, its sizes, its name. Include kernel.bpf.h before. */

/*
 * A map's description, read at once: a read costs more than all of its bytes. A field
 * that doesn't lie in there is read by itself.
 */
struct description {
	__u64 words[12];
};

#define description_at(map, field)                                                                 \
	((__u64)bpf_core_field_offset((map)->field) - bpf_core_field_offset((map)->map_type))

#define DESCRIBED(description, map, field)                                                         \
	({                                                                                         \
		__u64 at = description_at(map, field);                                             \
		typeof((map)->field) value;                                                        \
		if (at <= sizeof(*(description)) - sizeof(value))                                  \
			value = *(typeof(value) *)((void *)(description) + at);                    \
		else                                                                               \
			value = BPF_CORE_READ(map, field);                                         \
		value;                                                                             \
	})

static __always_inline void describe(struct bpf_map *map, struct description *to)
{
	bpf_probe_read_kernel(to, sizeof(*to), __builtin_preserve_access_index(&map->map_type));
}

/* By words of four bytes, of which the kernel aligns as much. */
static __always_inline void read_name(__u64 *name, struct bpf_map *map,
				      const struct description *description)
{
	__u64 at = description_at(map, name);
	const __u32 *from = (void *)description + at;

	if (at <= sizeof(*description) - sizeof(map->name)) {
		name[0] = from[0] | (__u64)from[1] << 32;
		name[1] = from[2] | (__u64)from[3] << 32;
	} else {
		bpf_probe_read_kernel(name, sizeof(map->name),
				      __builtin_preserve_access_index(&map->name));
	}
}

/* How many references a map has: the lower half of the number, which may lie at any word. */
static __always_inline __u32 references(struct bpf_map *map, const struct description *description)
{
	__u64 at = description_at(map, refcnt.counter);

	if (at <= sizeof(*description) - sizeof(__u32))
		return *(__u32 *)((void *)description + at);
	return BPF_CORE_READ(map, refcnt.counter);
}

#endif
