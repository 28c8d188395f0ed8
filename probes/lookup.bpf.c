//go:build ignore

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How long a map's lookup function takes: an entry and an exit program for one
 * function and one map, and a histogram per CPU.
 *
 * It is written to cost little more than an empty pair of programs. Nothing is
 * looked up: this CPU's part is found in a global array by the CPU's number,
 * which the kernel inlines from 6.10 (1ae6921009e5). Nothing is atomic: the
 * kernel doesn't run a tracing program on a CPU where it is active already
 * (ca06f55b9002, 5.12), and a program isn't migrated.
 *
 * Between entry and exit the task may be preempted, and others' calls overwrite
 * the start that is kept for this CPU. Both programs are called from the same
 * place of the same trampoline, so that their frame is at the same address, on
 * the stack of the calling task: it tells whose start it is. The entry writes
 * the owner before the time, the exit reads the time before the owner, so that
 * however they interleave on a CPU, a time with its owner is that owner's. What
 * doesn't match is counted as unseen, never as a duration.
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <linux/ptrace.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "lookup.bpf.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* User space gives the array as many elements as there are CPUs, rounded up to
 * a power of two, and says so here. */
#define MAX_CPUS 512
const volatile __u32 cpu_mask = 0;
struct lookup_cpu lookup_cpus[MAX_CPUS];

/* Stands for the map whose lookups count; user space puts that in its place,
 * and the kernel its address. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} mpf_watched SEC(".maps");

#define VOLATILE(x) (*(volatile typeof(x) *)&(x))

/* The compiler would keep an address over a call, in a register to be saved. */
#define ADDRESS(x)                                                                                 \
	({                                                                                         \
		typeof(x) _address;                                                                \
		asm volatile("%0 = %1 ll" : "=r"(_address) : "i"(x));                              \
		_address;                                                                          \
	})

static __always_inline struct lookup_cpu *this_cpu(void)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct lookup_cpu *c = ADDRESS(&lookup_cpus[0]) + (cpu & *ADDRESS(&cpu_mask));

	/* The compiler would compute it again for every use. */
	asm volatile("" : "+r"(c));
	return c;
}

/* Where there is one CPU its number need not be asked. */
static __always_inline struct lookup_cpu *only_cpu(void)
{
	return ADDRESS(&lookup_cpus[0]);
}

/* A value that has more than one in its bucket. */
static __always_inline void record_long(struct lookup_cpu *c, __u64 ns)
{
	__u64 x, b = 0;
	__u32 i;

	if ((__s64)ns < 0) {
		c->went_back++;
		return;
	}
	c->count++;
	c->sum_ns += ns;
	if (ns > c->max_ns)
		c->max_ns = ns;
	if (!c->min_ns || ns < c->min_ns)
		c->min_ns = ns;
	if (ns > HIST_MAX_NS) {
		c->overflow++;
		return;
	}
	/* The position of the highest bit, by halving: BPF has no instruction. */
	x = ns >> HIST_SUB_BITS;
	if (x >> 16) {
		x >>= 16;
		b += 16;
	}
	if (x >> 8) {
		x >>= 8;
		b += 8;
	}
	if (x >> 4) {
		x >>= 4;
		b += 4;
	}
	if (x >> 2) {
		x >>= 2;
		b += 2;
	}
	b += x >> 1;
	i = (b << HIST_SUB_BITS) + (ns >> b);
	/* It is by the arithmetic above, which the verifier does not follow. */
	if (i < HIST_COUNTS)
		c->counts[i]++;
}

static __always_inline void record(struct lookup_cpu *c, __u64 ns)
{
	if (__builtin_expect(ns < HIST_SUB, 1)) {
		/* c->counts[ns]++; the compiler would share it with that of
		 * record_long(), and jump there. */
		asm volatile("r1 = *(u64 *)(%0 + %1)\n"
			     "r1 += 1\n"
			     "*(u64 *)(%0 + %1) = r1"
			     :
			     : "r"((void *)c + ns * sizeof(__u64)),
			       "i"(__builtin_offsetof(struct lookup_cpu, counts))
			     : "r1", "memory");
		return;
	}
	record_long(c, ns);
}

/* The frame of a program is in r10, which clang 14 has no other way to name. */
static __always_inline void own(struct lookup_cpu *c)
{
	asm volatile("*(u64 *)(%0 + 0) = r10" : : "r"(c) : "memory");
}
_Static_assert(__builtin_offsetof(struct lookup_cpu, owner) == 0, "own() stores at 0");

static __always_inline int on_entry(__u64 *ctx, struct lookup_cpu *(*cpu)(void))
{
	struct lookup_cpu *c;
	__u64 now;

	if ((void *)ctx[0] != &mpf_watched) {
		cpu()->excluded++;
		return 0;
	}
	now = bpf_ktime_get_ns();
	c = cpu();
	own(c);
	VOLATILE(c->start_ns) = now;
	return 0;
}

/* Tells whether the call was timed. */
static __always_inline bool on_exit(struct lookup_cpu *(*cpu)(void))
{
	__u64 now = bpf_ktime_get_ns();
	struct lookup_cpu *c = cpu();
	__u64 start = VOLATILE(c->start_ns);
	__u64 owner = VOLATILE(c->owner);

	asm goto("if %0 != r10 goto %l[other]" : : "r"(owner) : : other);
	/* A start counts once. A time is no frame's address. */
	VOLATILE(c->owner) = start;
	record(c, now - start);
	return true;
other:
	c->unmatched++;
	return false;
}

SEC("fentry/array_map_lookup_elem")
int lookup_entry(__u64 *ctx)
{
	return on_entry(ctx, this_cpu);
}

SEC("fexit/array_map_lookup_elem")
int lookup_exit(__u64 *ctx)
{
	on_exit(this_cpu);
	return 0;
}

SEC("fentry/array_map_lookup_elem")
int lookup_entry_up(__u64 *ctx)
{
	return on_entry(ctx, only_cpu);
}

SEC("fexit/array_map_lookup_elem")
int lookup_exit_up(__u64 *ctx)
{
	on_exit(only_cpu);
	return 0;
}

/*
 * One call in some is timed, and the others cost as little as can be: a count on
 * entry, a look at the owner on exit. All calls of the function are counted, for
 * whichever map: each has the same chance, and a choice that falls on another
 * map's is a choice all the same. The gap to the next one is random, so that no
 * caller's period fits it, and drawn before the call, so that no duration
 * changes it.
 */
static __always_inline __u64 draw_gap(struct lookup_cpu *c)
{
	/* A linear congruential generator with Knuth's multiplier: its upper half is
	 * random enough, and two instructions make it. */
	__u64 x = c->random * 6364136223846793005ULL + 1, gap;

	c->random = x;
	/* From 1 to spread, each as often. */
	gap = (((x >> 32) * c->spread) >> 32) + 1;
	c->drawn += gap;
	return gap;
}

static __always_inline int on_sampled_entry(__u64 *ctx, struct lookup_cpu *(*cpu)(void))
{
	struct lookup_cpu *c = cpu();
	__u64 now;

	if (__builtin_expect(--c->left, 1))
		return 0;
	c->left = draw_gap(c);
	if ((void *)ctx[0] != &mpf_watched) {
		c->excluded++;
		return 0;
	}
	c->sampled++;
	now = bpf_ktime_get_ns();
	c = cpu();
	own(c);
	VOLATILE(c->start_ns) = now;
	return 0;
}

/* The owner is looked at before the time is taken: most calls have none. */
static __always_inline int on_sampled_exit(struct lookup_cpu *(*cpu)(void))
{
	__u64 owner = VOLATILE(cpu()->owner);

	asm goto("if %0 != r10 goto %l[other]" : : "r"(owner) : : other);
	on_exit(cpu);
other:
	return 0;
}

SEC("fentry/array_map_lookup_elem")
int sampled_entry(__u64 *ctx)
{
	return on_sampled_entry(ctx, this_cpu);
}

SEC("fexit/array_map_lookup_elem")
int sampled_exit(__u64 *ctx)
{
	return on_sampled_exit(this_cpu);
}

SEC("fentry/array_map_lookup_elem")
int sampled_entry_up(__u64 *ctx)
{
	return on_sampled_entry(ctx, only_cpu);
}

SEC("fexit/array_map_lookup_elem")
int sampled_exit_up(__u64 *ctx)
{
	return on_sampled_exit(only_cpu);
}

/*
 * The same in one program, with the start in a cookie of the call's own that
 * begins as 0 (7.0, eeee4239dbb1): no owner. Both kfuncs are inlined, and cost
 * more than the owner does all the same.
 */
extern __u64 *bpf_session_cookie(void *ctx) __ksym;
extern bool bpf_session_is_return(void *ctx) __ksym;

SEC("fsession/array_map_lookup_elem")
int lookup_session(__u64 *ctx)
{
	__u64 *start, now, began;

	if ((void *)ctx[0] != &mpf_watched) {
		if (!bpf_session_is_return(ctx))
			only_cpu()->excluded++;
		return 0;
	}
	start = bpf_session_cookie(ctx);
	now = bpf_ktime_get_ns();
	began = VOLATILE(*start);
	if (!began)
		*start = now;
	else
		record(only_cpu(), now - began);
	return 0;
}

/*
 * For a function that prepares pages for one thread: called once or a few times
 * for each page, it needs the cheap way of the lookups. A call for many pages
 * takes milliseconds, in which the thread may come to another CPU; so there is
 * one start, not one per CPU. An interrupt that allocates pages meanwhile does it
 * on a stack of its own and leaves the start alone.
 */
const volatile __u32 pages_tid = 0;
const volatile __u32 pages_by_order = 0; /* argument 2 is not their number, but its logarithm */

/* User space switches it on for what is to count. */
__u32 pages_watched SEC(".data.watch");

struct task_struct {
	void *stack;
} __attribute__((preserve_access_index));

/* THREAD_SIZE, with KASAN too. */
#define STACK_BYTES (32 << 10)

static __always_inline int on_thread_stack(struct lookup_cpu *c)
{
	if (!c->stack)
		c->stack =
			(__u64)BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), stack);
	/* By way of memory, for the verifier does no arithmetic with r10. */
	asm volatile("*(u64 *)(%0 + %1) = r10"
		     :
		     : "r"(c), "i"(__builtin_offsetof(struct lookup_cpu, frame))
		     : "memory");
	return VOLATILE(c->frame) - c->stack < STACK_BYTES;
}

SEC("fentry/post_alloc_hook")
int pages_entry(__u64 *ctx)
{
	struct lookup_cpu *c = only_cpu();
	__u64 now;

	if ((__u32)bpf_get_current_pid_tgid() != pages_tid || !VOLATILE(pages_watched) ||
	    !on_thread_stack(c)) {
		this_cpu()->excluded++;
		return 0;
	}
	now = bpf_ktime_get_ns();
	own(c);
	VOLATILE(c->start_ns) = now;
	return 0;
}

SEC("fexit/post_alloc_hook")
int pages_exit(__u64 *ctx)
{
	struct lookup_cpu *c;
	__u32 pages = ctx[1];

	if ((__u32)bpf_get_current_pid_tgid() != pages_tid) {
		this_cpu()->unmatched++;
		return 0;
	}
	c = only_cpu();
	if (on_exit(only_cpu))
		c->pages += pages_by_order ? 1ULL << (pages & 31) : pages;
	return 0;
}

/*
 * Where a thread is in the kernel, as often as a clock ticks: for functions in
 * assembly, or inlined, which no probe sees.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);   /* address */
	__type(value, __u64); /* ticks */
} mpf_samples SEC(".maps");

SEC("perf_event")
int sample(struct bpf_perf_event_data *ctx)
{
	__u64 *n, none = 0, ip = PT_REGS_IP(&ctx->regs);

	n = bpf_map_lookup_elem(&mpf_samples, &ip);
	if (!n) {
		bpf_map_update_elem(&mpf_samples, &ip, &none, BPF_NOEXIST);
		n = bpf_map_lookup_elem(&mpf_samples, &ip);
	}
	if (n)
		*n += 1;
	else
		this_cpu()->excluded++; /* no room for another address */
	return 0;
}

/*
 * Who calls: a count for each stack. It is a program of its own, and runs
 * before the time is taken: a stack costs more than a lookup.
 */
struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 1024);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 127 * sizeof(__u64));
} mpf_callers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1025);
	__type(key, __s32);   /* id in mpf_callers; -1: no stack */
	__type(value, __u64); /* calls */
} mpf_calls SEC(".maps");

SEC("fentry/array_map_lookup_elem")
int caller_entry(__u64 *ctx)
{
	__u64 *n, none = 0;
	__s32 id;

	if ((void *)ctx[0] != &mpf_watched)
		return 0;
	id = bpf_get_stackid(ctx, &mpf_callers, 0);
	if (id < 0)
		id = -1;
	n = bpf_map_lookup_elem(&mpf_calls, &id);
	if (!n) {
		bpf_map_update_elem(&mpf_calls, &id, &none, BPF_NOEXIST);
		n = bpf_map_lookup_elem(&mpf_calls, &id);
	}
	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

/* The same pair with nothing in it: what attaching costs by itself. */
SEC("fentry/array_map_lookup_elem")
int empty_entry(__u64 *ctx)
{
	return 0;
}

SEC("fexit/array_map_lookup_elem")
int empty_exit(__u64 *ctx)
{
	return 0;
}

/* What two clock reads add to it. */
SEC("fentry/array_map_lookup_elem")
int clock_entry(__u64 *ctx)
{
	bpf_ktime_get_ns();
	return 0;
}

SEC("fexit/array_map_lookup_elem")
int clock_exit(__u64 *ctx)
{
	bpf_ktime_get_ns();
	return 0;
}

SEC("fsession/array_map_lookup_elem")
int empty_session(__u64 *ctx)
{
	return 0;
}

/* For the test that holds the histogram against hdrhistogram-go's. */
#define RECORD_BATCH 1024
__u64 record_values[RECORD_BATCH] SEC(".data.values");
__u32 record_n SEC(".data.values");

SEC("socket")
int record_batch(void *ctx)
{
	struct lookup_cpu *c = this_cpu();

	for (__u32 i = 0; i < RECORD_BATCH; i++) {
		if (i >= record_n)
			break;
		record(c, record_values[i]);
	}
	return 0;
}

/* For the test that holds the gaps against user space's. */
SEC("socket")
int draw_batch(void *ctx)
{
	struct lookup_cpu *c = this_cpu();

	c->random = record_values[0];
	c->spread = record_values[1];
	for (__u32 i = 0; i < RECORD_BATCH; i++)
		record_values[i] = draw_gap(c);
	return 0;
}
