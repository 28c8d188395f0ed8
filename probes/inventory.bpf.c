//go:build ignore

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What there is: every map, every program with the maps that it uses, every file
 * descriptor of a map, a program or a link, and every mapping of a map (since 5.12), by
 * the kernel's iterators (since 5.8).
 * To ask for each by its id takes minutes where an iterator takes milliseconds.
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "kernel.bpf.h"
#include "elements.bpf.h"

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
} __attribute__((preserve_access_index));

struct bpf_link {
	__u32 id;
	enum bpf_link_type type;
	struct bpf_prog *prog;
} __attribute__((preserve_access_index));

struct bpf_iter_aux_info {
	struct bpf_map *map; /* whose elements are iterated over */
} __attribute__((preserve_access_index));

struct bpf_iter_link {
	struct bpf_link link;
	struct bpf_iter_aux_info aux;
} __attribute__((preserve_access_index));

struct bpf_iter__bpf_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
} __attribute__((preserve_access_index));

struct bpf_iter__bpf_prog {
	struct bpf_iter_meta *meta;
	struct bpf_prog *prog;
} __attribute__((preserve_access_index));

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
} __attribute__((preserve_access_index));

struct vm_area_struct {
	struct file *vm_file;
} __attribute__((preserve_access_index));

struct bpf_iter__task_vma {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	struct vm_area_struct *vma;
} __attribute__((preserve_access_index));

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} __attribute__((preserve_access_index));

struct rcu_node {
	unsigned long qsmask;
	int grplo;
	__u8 level;
} __attribute__((preserve_access_index));

struct rcu_state {
	struct rcu_node node[1]; /* as many as rcu_num_nodes says */
	unsigned long gp_seq;
	short gp_state;
} __attribute__((preserve_access_index));

/* tasks-trace is SRCU since 7.0. */
struct srcu_ctr {
	atomic64_t srcu_locks;
	atomic64_t srcu_unlocks;
} __attribute__((preserve_access_index));

struct srcu_data {
	struct srcu_ctr srcu_ctrs[2];
} __attribute__((preserve_access_index));

struct srcu_usage {
	unsigned long srcu_gp_seq;
} __attribute__((preserve_access_index));

struct srcu_struct {
	struct srcu_data *sda;
	struct srcu_usage *srcu_sup;
} __attribute__((preserve_access_index));

struct task_struct___reader {
	int trc_reader_nesting;
} __attribute__((preserve_access_index));

struct map_item {
	__u32 id;
	__u32 map_type;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	__u32 map_flags;
	__u32 extra_elems;
	__u32 sleepable; /* users; since af66bfd3c853 */
	__u64 address;
	__u64 refs; /* without the iterator's own */
	__u64 user_refs;
	__u32 memory_pages; /* as charged, where the kernel keeps it (to 5.10) */
	__u32 elements;     /* of a map that allocates each */
	char name[16];
};
_Static_assert(sizeof(struct map_item) == 80, "map_item has padding");

#define MAX_USED_MAPS 64 /* MAX_USED_MAPS of the kernel */

struct prog_item {
	__u32 id;
	__u32 prog_type;
	__u32 sleepable;
	__u32 used_maps; /* may be more than there is room for */
	char name[16];
	__u32 maps[MAX_USED_MAPS]; /* ids */
};
_Static_assert(sizeof(struct prog_item) == 288, "prog_item has padding");

enum holder_kind {
	HOLDER_MAP = 1,
	HOLDER_PROG,
	HOLDER_LINK,
	HOLDER_MAPPING,  /* id is the map's */
	HOLDER_READER,   /* a task inside a tasks-trace read-side section */
	HOLDER_RCU,      /* the state of RCU: id is gp_state, file is gp_seq */
	HOLDER_CPUS,     /* that RCU waits for: a mask in file, of those from id on */
	HOLDER_SRCU,     /* of tasks-trace: file is srcu_gp_seq, id and fd its readers by index */
	HOLDER_ITERATOR, /* an iterator's link: id is the map's */
};

struct holder_item {
	__u32 kind; /* enum holder_kind */
	__u32 id;   /* of the map, or of the program: a link's program */
	__u32 tgid;
	__u32 fd;
	__u64 file; /* several descriptors may be of one, which holds one reference */
	char comm[16];
};
_Static_assert(sizeof(struct holder_item) == 40, "holder_item has padding");

const struct map_item *unused_map_item __attribute__((unused));
const struct prog_item *unused_prog_item __attribute__((unused));
const struct holder_item *unused_holder_item __attribute__((unused));
const enum holder_kind *unused_holder_kind __attribute__((unused));

/* The file operations by which a descriptor is known, by enum holder_kind. */
const volatile __u64 fops[4] = {};

/* The address of rcu_state; 0: not known. */
const volatile __u64 rcu_state_at = 0;
/* What rcu_num_nodes and rcu_num_lvls say; 0: not known. */
const volatile __u64 rcu_num_nodes_at = 0;
const volatile __u64 rcu_num_lvls_at = 0;
/* The address of rcu_tasks_trace_srcu_struct; 0: not known, or there is none. */
const volatile __u64 srcu_at = 0;

char _license[] SEC("license") = "Dual BSD/GPL";

SEC("iter/bpf_map")
int each_map(struct bpf_iter__bpf_map *ctx)
{
	struct map_item item = {};
	struct bpf_map *map = ctx->map;
	struct bpf_map___sleepable *users = (void *)map;

	if (!map)
		return 0;
	item.id = map->id;
	item.address = (__u64)map;
	item.map_type = BPF_CORE_READ(map, map_type);
	item.key_size = map->key_size;
	item.value_size = map->value_size;
	item.max_entries = map->max_entries;
	item.map_flags = BPF_CORE_READ(map, map_flags);
	if (item.map_type == BPF_MAP_TYPE_HASH || item.map_type == BPF_MAP_TYPE_HASH_OF_MAPS)
		item.extra_elems = BPF_CORE_READ((struct bpf_htab *)map, extra_elems) != NULL;
	if (bpf_core_field_exists(users->sleepable_refcnt))
		item.sleepable = BPF_CORE_READ(users, sleepable_refcnt.counter);
	item.refs = BPF_CORE_READ(map, refcnt.counter) - 1;
	item.user_refs = BPF_CORE_READ(map, usercnt.counter);
	if (bpf_core_field_exists(map->memory.pages))
		item.memory_pages = BPF_CORE_READ(map, memory.pages);
	item.elements = elements_of(map, item.map_type, item.map_flags);
	BPF_CORE_READ_INTO(&item.name, map, name);
	bpf_seq_write(ctx->meta->seq, &item, sizeof(item));
	return 0;
}

SEC("iter/bpf_prog")
int each_prog(struct bpf_iter__bpf_prog *ctx)
{
	struct prog_item item = {};
	struct bpf_prog *prog = ctx->prog;
	struct bpf_prog_aux *aux;
	struct bpf_map **maps, *map;

	if (!prog)
		return 0;
	aux = BPF_CORE_READ(prog, aux);
	item.id = BPF_CORE_READ(aux, id);
	item.prog_type = BPF_CORE_READ(prog, type);
	item.sleepable = is_sleepable(prog, aux);
	item.used_maps = BPF_CORE_READ(aux, used_map_cnt);
	BPF_CORE_READ_INTO(&item.name, aux, name);
	maps = BPF_CORE_READ(aux, used_maps);
	for (int i = 0; i < MAX_USED_MAPS; i++) {
		if (i >= item.used_maps)
			break;
		if (bpf_probe_read_kernel(&map, sizeof(map), &maps[i]))
			break;
		item.maps[i] = BPF_CORE_READ(map, id);
	}
	bpf_seq_write(ctx->meta->seq, &item, sizeof(item));
	return 0;
}

SEC("iter/task_file")
int each_file(struct bpf_iter__task_file *ctx)
{
	struct holder_item item = {};
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct bpf_link *link = 0;
	struct bpf_map *map;
	__u64 ops;
	void *data;

	if (!task || !file)
		return 0;
	ops = (__u64)BPF_CORE_READ(file, f_op);
	if (!ops)
		return 0;
	data = BPF_CORE_READ(file, private_data);
	if (ops == fops[HOLDER_MAP]) {
		item.kind = HOLDER_MAP;
		item.id = BPF_CORE_READ((struct bpf_map *)data, id);
	} else if (ops == fops[HOLDER_PROG]) {
		item.kind = HOLDER_PROG;
		item.id = BPF_CORE_READ((struct bpf_prog *)data, aux, id);
	} else if (ops == fops[HOLDER_LINK]) {
		item.kind = HOLDER_LINK;
		link = data;
		item.id = BPF_CORE_READ(link, prog, aux, id);
	} else {
		return 0;
	}
	item.tgid = BPF_CORE_READ(task, tgid);
	item.fd = ctx->fd;
	item.file = (__u64)file;
	BPF_CORE_READ_INTO(&item.comm, task, comm);
	bpf_seq_write(ctx->meta->seq, &item, sizeof(item));
	if (!link || BPF_CORE_READ(link, type) != BPF_LINK_TYPE_ITER)
		return 0;
	map = BPF_CORE_READ((struct bpf_iter_link *)link, aux.map);
	if (!map)
		return 0;
	item.kind = HOLDER_ITERATOR;
	item.id = BPF_CORE_READ(map, id);
	bpf_seq_write(ctx->meta->seq, &item, sizeof(item));
	return 0;
}

SEC("iter/task_vma")
int each_mapping(struct bpf_iter__task_vma *ctx)
{
	struct holder_item item = {.kind = HOLDER_MAPPING};
	struct task_struct *task = ctx->task;
	struct vm_area_struct *vma = ctx->vma;
	struct bpf_map *map;
	struct file *file;

	if (!task || !vma)
		return 0;
	file = BPF_CORE_READ(vma, vm_file);
	if (!file || !fops[HOLDER_MAP] || (__u64)BPF_CORE_READ(file, f_op) != fops[HOLDER_MAP])
		return 0;
	map = (struct bpf_map *)BPF_CORE_READ(file, private_data);
	item.id = BPF_CORE_READ(map, id);
	item.tgid = BPF_CORE_READ(task, tgid);
	item.file = (__u64)file;
	BPF_CORE_READ_INTO(&item.comm, task, comm);
	bpf_seq_write(ctx->meta->seq, &item, sizeof(item));
	return 0;
}

#define MAX_RCU_NODES 512

/* The CPUs that RCU waits for: qsmask of the tree's leaves. */
static __always_inline void rcu_cpus(struct seq_file *seq)
{
	struct holder_item item = {.kind = HOLDER_CPUS};
	struct rcu_state *rcu = (void *)rcu_state_at;
	struct rcu_node *node = (void *)rcu_state_at + bpf_core_field_offset(rcu->node);
	__u32 nodes = 0, levels = 0;

	if (!rcu_num_nodes_at || !rcu_num_lvls_at ||
	    bpf_probe_read_kernel(&nodes, sizeof(nodes), (void *)rcu_num_nodes_at) ||
	    bpf_probe_read_kernel(&levels, sizeof(levels), (void *)rcu_num_lvls_at))
		return;
	for (__u32 i = 0; i < MAX_RCU_NODES && i < nodes; i++) {
		item.file = BPF_CORE_READ(node, qsmask);
		item.id = BPF_CORE_READ(node, grplo);
		if (item.file && BPF_CORE_READ(node, level) + 1 == levels)
			bpf_seq_write(seq, &item, sizeof(item));
		node = (void *)node + bpf_core_type_size(struct rcu_node);
	}
}

/* SRCU counts its readers by CPU, those that came and those that left. */
static __always_inline void srcu_state(struct seq_file *seq)
{
	struct holder_item item = {.kind = HOLDER_SRCU};
	struct srcu_struct *srcu = (void *)srcu_at;
	struct srcu_data *data = NULL;
	__u64 offset, sda;

	if (!srcu_at || !per_cpu_offset || !bpf_core_field_exists(data->srcu_ctrs))
		return;
	item.file = BPF_CORE_READ(srcu, srcu_sup, srcu_gp_seq);
	sda = (__u64)BPF_CORE_READ(srcu, sda);
	for (__u32 cpu = 0; cpu < MAX_CPUS && cpu < possible_cpus; cpu++) {
		if (bpf_probe_read_kernel(&offset, sizeof(offset),
					  (void *)(per_cpu_offset + cpu * sizeof(offset))))
			break;
		data = (void *)(sda + offset);
		item.id += BPF_CORE_READ(data, srcu_ctrs[0].srcu_locks.counter) -
			   BPF_CORE_READ(data, srcu_ctrs[0].srcu_unlocks.counter);
		item.fd += BPF_CORE_READ(data, srcu_ctrs[1].srcu_locks.counter) -
			   BPF_CORE_READ(data, srcu_ctrs[1].srcu_unlocks.counter);
	}
	bpf_seq_write(seq, &item, sizeof(item));
}

/* Every task inside a tasks-trace read-side section, and last the states of RCU. */
SEC("iter/task")
int each_reader(struct bpf_iter__task *ctx)
{
	struct holder_item item = {};
	struct task_struct *task = ctx->task;
	struct task_struct___reader *reader = (void *)task;
	struct rcu_state *rcu = (void *)rcu_state_at;

	if (!task) {
		if (rcu_state_at) {
			item.kind = HOLDER_RCU;
			item.file = BPF_CORE_READ(rcu, gp_seq);
			item.id = (__u16)BPF_CORE_READ(rcu, gp_state);
			bpf_seq_write(ctx->meta->seq, &item, sizeof(item));
			rcu_cpus(ctx->meta->seq);
		}
		srcu_state(ctx->meta->seq);
		return 0;
	}
	if (!bpf_core_field_exists(reader->trc_reader_nesting) ||
	    BPF_CORE_READ(reader, trc_reader_nesting) <= 0)
		return 0;
	item.kind = HOLDER_READER;
	item.tgid = BPF_CORE_READ(task, tgid);
	BPF_CORE_READ_INTO(&item.comm, task, comm);
	bpf_seq_write(ctx->meta->seq, &item, sizeof(item));
	return 0;
}
