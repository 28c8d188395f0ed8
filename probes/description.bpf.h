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

static __always_inline void read_name(char *name, struct bpf_map *map,
				      const struct description *description)
{
	__u64 at = description_at(map, name);

	if (at <= sizeof(*description) - sizeof(map->name))
		__builtin_memcpy(name, (void *)description + at, sizeof(map->name));
	else
		bpf_probe_read_kernel(name, sizeof(map->name),
				      __builtin_preserve_access_index(&map->name));
}

#endif
