//go:build ignore

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Fills a map's elements with special fields, one element in each run. The map is in
 * the slot of an outer map, so that no program holds it.
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

struct bpf_wq {
	__u64 __opaque[2];
} __attribute__((aligned(8)));

struct plain_value {
	__u64 number[2];
};

struct lock_value {
	struct bpf_spin_lock lock;
	__u32 number;
	__u64 more;
};

struct timer_value {
	struct bpf_timer timer;
};

struct work_value {
	struct bpf_wq work;
};

/* Its pointer has the type tag "kptr": run.go adds it, since clang 14 drops it. */
struct bpf_cpumask {
	__u64 __opaque;
};

struct mask_value {
	struct bpf_cpumask *mask;
	__u64 more;
};

/* And here it is "kptr_untrusted": the map has no reference on the task. */
struct task_struct {
	__u64 __opaque;
};

struct task_value {
	struct task_struct *task;
	__u64 more;
};

/* The element that the next run fills, and how many there are to be filled. */
volatile __u32 next = 0;
volatile __u32 total = 0;
/* What the last call that failed returned. */
volatile __s64 failed = 0;

/* An outer map, and the template of the maps that may be in it. */
#define OUTER(name)                                                                                \
	struct name##_inner {                                                                      \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(max_entries, 1);                                                            \
		__type(key, __u32);                                                                \
		__type(value, struct name##_value);                                                \
	} name##_inner SEC(".maps");                                                               \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                          \
		__uint(max_entries, 1);                                                            \
		__type(key, __u32);                                                                \
		__array(values, struct name##_inner);                                              \
	} name##_outer SEC(".maps");

OUTER(plain)
OUTER(lock)
OUTER(timer)
OUTER(work)
OUTER(mask)
OUTER(task)

/* So that their BTF is whole. */
const struct plain_value *unused_plain __attribute__((unused));
const struct lock_value *unused_lock __attribute__((unused));
const struct timer_value *unused_timer __attribute__((unused));
const struct work_value *unused_work __attribute__((unused));
const struct mask_value *unused_mask __attribute__((unused));
const struct task_value *unused_task __attribute__((unused));
const struct bpf_cpumask *unused_cpumask __attribute__((unused));
const struct task_struct *unused_task_struct __attribute__((unused));

/*
 * The next element of a map, made where it isn't there; 0: there is no room, or it is
 * more than was asked for. A signal makes the kernel begin a repeated run again.
 */
static __always_inline void *element(void *map, void *zero)
{
	__u32 key = next;
	void *value;

	if (key >= total)
		return 0;
	next = key + 1;
	value = bpf_map_lookup_elem(map, &key);
	if (value)
		return value;
	failed = bpf_map_update_elem(map, &key, zero, BPF_ANY);
	return bpf_map_lookup_elem(map, &key);
}

SEC("tc")
int fill_plain(struct __sk_buff *skb)
{
	struct plain_value zero = {}, *value;
	__u32 slot = 0;
	void *map = bpf_map_lookup_elem(&plain_outer, &slot);

	if (map && (value = element(map, &zero)))
		value->number[0] = next;
	return 0;
}

static int expired(void *map, __u32 *key, struct timer_value *value)
{
	return 0;
}

#define AN_HOUR 3600000000000ULL

SEC("tc")
int fill_timer(struct __sk_buff *skb)
{
	struct timer_value zero = {}, *value;
	__u32 slot = 0;
	void *map = bpf_map_lookup_elem(&timer_outer, &slot);

	if (!map || !(value = element(map, &zero)))
		return 0;
	if ((failed = bpf_timer_init(&value->timer, map, 1 /* CLOCK_MONOTONIC */)) ||
	    (failed = bpf_timer_set_callback(&value->timer, expired)))
		return 0;
	failed = bpf_timer_start(&value->timer, AN_HOUR, 0);
	return 0;
}

extern int bpf_wq_init(struct bpf_wq *wq, void *map, unsigned int flags) __ksym;
/* Since 7.0; before, the verifier's argument was in the declaration. */
extern int bpf_wq_set_callback(struct bpf_wq *wq, int (*callback)(void *, int *, void *),
			       unsigned int flags) __ksym;
extern int bpf_wq_set_callback_impl(struct bpf_wq *wq, int (*callback)(void *, int *, void *),
				    unsigned int flags, void *aux) __ksym;

static int worked(void *map, int *key, void *value)
{
	return 0;
}

/* The next element's work queue, with its map; 0: there is none. */
static __always_inline struct bpf_wq *next_work(void)
{
	struct work_value zero = {}, *value;
	__u32 slot = 0;
	void *map = bpf_map_lookup_elem(&work_outer, &slot);

	if (!map || !(value = element(map, &zero)) || (failed = bpf_wq_init(&value->work, map, 0)))
		return 0;
	return &value->work;
}

SEC("tc")
int fill_work(struct __sk_buff *skb)
{
	struct bpf_wq *work = next_work();

	if (work)
		failed = bpf_wq_set_callback(work, worked, 0);
	return 0;
}

SEC("tc")
int fill_work_impl(struct __sk_buff *skb)
{
	struct bpf_wq *work = next_work();

	if (work)
		failed = bpf_wq_set_callback_impl(work, worked, 0, 0);
	return 0;
}

extern struct bpf_cpumask *bpf_cpumask_create(void) __ksym;
extern void bpf_cpumask_release(struct bpf_cpumask *mask) __ksym;

static long put_mask(__u32 i, void *unused)
{
	struct mask_value zero = {}, *value;
	struct bpf_cpumask *mask;
	__u32 slot = 0;
	void *map = bpf_map_lookup_elem(&mask_outer, &slot);

	if (!map || !(value = element(map, &zero)))
		return 1;
	mask = bpf_cpumask_create();
	if (!mask) {
		failed = -12 /* ENOMEM */;
		return 1;
	}
	mask = bpf_kptr_xchg(&value->mask, mask);
	if (mask)
		bpf_cpumask_release(mask);
	return 0;
}

/* Run by BPF_PROG_TEST_RUN: kfuncs of CPU masks are for tracing programs. */
SEC("fentry/bpf_fentry_test1")
int fill_mask(void *ctx)
{
	bpf_loop(total, put_mask, 0, 0);
	return 0;
}

static long put_task(__u32 i, void *unused)
{
	struct task_value zero = {}, *value;
	__u32 slot = 0;
	void *map = bpf_map_lookup_elem(&task_outer, &slot);

	if (!map || !(value = element(map, &zero)))
		return 1;
	value->task = (void *)bpf_get_current_task_btf();
	return 0;
}

SEC("fentry/bpf_fentry_test1")
int fill_task(void *ctx)
{
	bpf_loop(total, put_task, 0, 0);
	return 0;
}
