/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef MAPPROF_KERNEL_BPF_H
#define MAPPROF_KERNEL_BPF_H

/* The kernel's types, as far as programs read them. Include linux/bpf.h before. */

/* What is read of the kernel's types; CO-RE finds the real offsets. */
struct work_struct {
	void *func;
} __attribute__((preserve_access_index));

struct callback_head {
	void *next;
} __attribute__((preserve_access_index));

/* To 5.10. */
struct bpf_map_memory {
	__u32 pages;
} __attribute__((preserve_access_index));

typedef struct {
	long long counter;
} atomic64_t;

struct qstr {
	const unsigned char *name;
} __attribute__((preserve_access_index));

struct dentry {
	struct qstr d_name;
} __attribute__((preserve_access_index));

struct path {
	struct dentry *dentry;
} __attribute__((preserve_access_index));

struct file {
	void *f_op;
	void *private_data;
	struct path f_path;
} __attribute__((preserve_access_index));

struct bpf_map {
	atomic64_t refcnt;
	atomic64_t usercnt;
	__u32 id;
	enum bpf_map_type map_type;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	__u32 map_flags;
	char name[16];
	struct bpf_map_memory memory;
	struct work_struct work;
	struct callback_head rcu;
} __attribute__((preserve_access_index));

typedef struct {
	int counter;
} atomic_t;

struct percpu_counter {
	__s64 count;
	__s32 *counters; /* per CPU */
} __attribute__((preserve_access_index));

struct bpf_htab {
	struct bpf_map map;
	void *extra_elems;
	atomic_t count;
	/* Instead of count, since 6.1, in large maps without preallocation. */
	struct percpu_counter pcount;
	_Bool use_percpu_counter;
} __attribute__((preserve_access_index));

struct lpm_trie {
	struct bpf_map map;
	__u64 n_entries;
} __attribute__((preserve_access_index));

struct mm_struct {
	struct file *exe_file;
} __attribute__((preserve_access_index));

struct task_struct {
	void *stack;
	int tgid;
	struct task_struct *real_parent;
	struct mm_struct *mm;
	char comm[16];
} __attribute__((preserve_access_index));

struct bpf_map___sleepable {
	atomic64_t sleepable_refcnt;
} __attribute__((preserve_access_index));

struct bpf_prog_aux {
	__u32 id;
	__u32 used_map_cnt;
	char name[16];
	struct bpf_map **used_maps;
	struct bpf_prog *prog;
	struct work_struct work;
} __attribute__((preserve_access_index));

/* To 6.8 or so. */
struct bpf_prog_aux___before {
	_Bool sleepable;
} __attribute__((preserve_access_index));

struct bpf_prog {
	enum bpf_prog_type type;
	struct bpf_prog_aux *aux;
} __attribute__((preserve_access_index));

struct bpf_prog___now {
	__u16 sleepable : 1;
} __attribute__((preserve_access_index));

static __always_inline int is_sleepable(struct bpf_prog *prog, struct bpf_prog_aux *aux)
{
	struct bpf_prog_aux___before *before = (void *)aux;
	struct bpf_prog___now *now = (void *)prog;

	if (bpf_core_field_exists(before->sleepable))
		return BPF_CORE_READ(before, sleepable);
	if (bpf_core_field_exists(now->sleepable))
		return BPF_CORE_READ_BITFIELD_PROBED(now, sleepable);
	return 0;
}

#endif
