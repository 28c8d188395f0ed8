/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef MAPPROF_OWNER_BPF_H
#define MAPPROF_OWNER_BPF_H

/*
 * Whose a map is: who created it, which outer map it was taken out of, who dropped
 * its last reference. Kept only where owners are watched (watch_owners); included
 * by death.bpf.h.
 */

/* Maps that this process created are the tracer's own. */
const volatile __u32 own_tgid = 0;
/* Its children count as in the tree; 0: none is asked for. */
const volatile __u32 watch_pid = 0;
/*
 * By these call_rcu*() and queue_work_on() are known to be for a map: the work's function
 * and the two callbacks, of which a kernel has one at least. 0: not known.
 */
const volatile __u64 frees_maps_at[3] = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64); /* struct bpf_map * */
	__type(value, struct owner);
} mpf_owners SEC(".maps");

/* The tracer's own maps, by id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u8);
} mpf_own SEC(".maps");

/* The outer map that a thread was last seen to change; before 20c20bd11a13. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32); /* thread id */
	__type(value, __u64);
} mpf_outer_now SEC(".maps");

static __always_inline int frees_maps(__u64 callback)
{
	return callback && (callback == frees_maps_at[0] || callback == frees_maps_at[1] ||
			    callback == frees_maps_at[2]);
}

/* Whether a callback is known to be for something else than a map. */
static __always_inline int is_foreign(__u64 callback)
{
	return callback && (frees_maps_at[1] || frees_maps_at[2]) && !frees_maps(callback);
}

/* Whether the current task is watch_pid or descends from it, by up to 16 parents. */
static __always_inline int in_tree(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (!watch_pid)
		return 0;
	for (int i = 0; i < 16; i++) {
		__u32 tgid = BPF_CORE_READ(task, tgid);

		if (tgid == watch_pid)
			return OWNER_IN_TREE;
		if (tgid <= 1)
			return 0;
		task = BPF_CORE_READ(task, real_parent);
	}
	return 0;
}

static __always_inline struct owner *owner_of(struct bpf_map *map)
{
	struct owner *owner, none = {};
	__u64 key = (__u64)map;

	owner = bpf_map_lookup_elem(&mpf_owners, &key);
	if (owner)
		return owner;
	if (bpf_map_update_elem(&mpf_owners, &key, &none, BPF_ANY)) {
		count(COUNTER_OWNERS_FULL);
		return 0;
	}
	return bpf_map_lookup_elem(&mpf_owners, &key);
}

/*
 * A map is being created. What is known of this address is of a map that is gone.
 * If the creation fails, then the next map at the address takes the entry over.
 */
static __always_inline int on_create(struct bpf_map *map)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	const unsigned char *exe;
	struct owner owner = {};
	__u64 key = (__u64)map;

	if (ready != READY_STARTS)
		return 0;
	owner.created_ns = bpf_ktime_get_ns();
	owner.creator_tgid = bpf_get_current_pid_tgid() >> 32;
	owner.creator_cgroup = bpf_get_current_cgroup_id();
	owner.flags = in_tree();
	bpf_get_current_comm(owner.creator_comm, sizeof(owner.creator_comm));
	exe = BPF_CORE_READ(task, mm, exe_file, f_path.dentry, d_name.name);
	if (exe)
		bpf_probe_read_kernel_str(owner.creator_exe, sizeof(owner.creator_exe), exe);
	if (bpf_map_update_elem(&mpf_owners, &key, &owner, BPF_ANY))
		count(COUNTER_OWNERS_FULL);
	return 0;
}

static __always_inline __u32 id_of_freed(struct bpf_map *map)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct freeing *freeing = freed_by(tid);

	return freeing && freeing->map == (__u64)map ? freeing->life.death.map_id : 0;
}

/* A map is taken out of an outer map. */
static __always_inline int on_taken(struct bpf_map *outer, struct bpf_map *inner, __u32 flags)
{
	struct bpf_map___sleepable *users = (void *)outer;
	struct owner *owner;

	if (ready != READY_STARTS || !outer || !inner)
		return 0;
	owner = owner_of(inner);
	if (!owner)
		return 0;
	owner->outer_id = BPF_CORE_READ(outer, id);
	if (!owner->outer_id) /* it is being freed itself, and has left the id table */
		owner->outer_id = id_of_freed(outer);
	owner->outer_type = BPF_CORE_READ(outer, map_type);
	BPF_CORE_READ_INTO(&owner->outer_name, outer, name);
	if (bpf_core_field_exists(users->sleepable_refcnt))
		owner->outer_sleepable = BPF_CORE_READ(users, sleepable_refcnt.counter);
	owner->flags |= flags;
	return 0;
}

/* A thread begins to change an outer map; of hash maps others come here, too. */
static __always_inline int on_outer(struct bpf_map *map)
{
	__u32 type = BPF_CORE_READ(map, map_type), tid = bpf_get_current_pid_tgid();
	__u64 outer = (__u64)map;

	if (type == BPF_MAP_TYPE_ARRAY_OF_MAPS || type == BPF_MAP_TYPE_HASH_OF_MAPS)
		bpf_map_update_elem(&mpf_outer_now, &tid, &outer, BPF_ANY);
	return 0;
}

/* The outer map that this thread changes or frees. */
static __always_inline struct bpf_map *outer_under_way(void)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct freeing *freeing = freed_by(tid);
	__u64 *outer;

	if (freeing)
		return (void *)freeing->map;
	outer = bpf_map_lookup_elem(&mpf_outer_now, &tid);
	return outer ? (void *)*outer : 0;
}

static __always_inline int owner_is_tracer(struct bpf_map *map, __u32 id)
{
	struct owner *owner;
	__u64 key = (__u64)map;

	if (bpf_map_lookup_elem(&mpf_own, &id))
		return 1;
	owner = bpf_map_lookup_elem(&mpf_owners, &key);
	return owner && owner->creator_tgid && owner->creator_tgid == own_tgid;
}

/* A put that may be the last; false: the map is the tracer's own. */
static __always_inline int owner_puts(struct bpf_map *map, __u32 id)
{
	struct owner *owner;

	if (owner_is_tracer(map, id)) {
		count(COUNTER_EXCLUDED_OWN);
		return 0;
	}
	owner = owner_of(map);
	if (owner) {
		owner->put_tgid = bpf_get_current_pid_tgid() >> 32;
		owner->put_cgroup = bpf_get_current_cgroup_id();
		owner->flags |= in_tree();
	}
	return 1;
}

static __always_inline void owner_unseen(struct bpf_map *map)
{
	struct owner *owner = owner_of(map);

	if (owner)
		owner->flags |= OWNER_PUT_UNSEEN;
}

/* The map is freed: its address may be another's soon. */
static __always_inline void owner_leaves(struct bpf_map *map, struct owner *to)
{
	__u64 key = (__u64)map;
	struct owner *owner = bpf_map_lookup_elem(&mpf_owners, &key);

	if (!owner) {
		__builtin_memset(to, 0, sizeof(*to)); /* it may hold another's */
		return;
	}
	*to = *owner;
	bpf_map_delete_elem(&mpf_owners, &key);
}

/* Commands of bpf(2) that wait for a grace period after they changed an outer map. */
static __always_inline int is_map_change(__u64 command)
{
	return command == BPF_MAP_UPDATE_ELEM || command == BPF_MAP_DELETE_ELEM ||
	       command == BPF_MAP_LOOKUP_AND_DELETE_ELEM ||
	       command == BPF_MAP_LOOKUP_AND_DELETE_BATCH || command == BPF_MAP_UPDATE_BATCH ||
	       command == BPF_MAP_DELETE_BATCH || command == BPF_MAP_LOOKUP_BATCH;
}

/*
 * Whether a wait of that process counts: of one that is asked for, or of any that
 * is in bpf(2) to change a map, by the registers that it entered the kernel with.
 */
static __always_inline int waits_count(__u32 tgid)
{
	struct pt_regs___entry *regs;

	if (wait_tgid != WAITS_OF_ALL)
		return wait_tgid && wait_tgid == tgid;
	regs = entry_regs();
	return BPF_CORE_READ(regs, ENTRY_NR) == NR_BPF &&
	       is_map_change(BPF_CORE_READ(regs, ENTRY_ARG1));
}

#endif
