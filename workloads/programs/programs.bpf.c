//go:build ignore

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A program with a global function, what traces that function, what replaces it, and
 * what traces the replacement. Each has a map of its own, which dies with it.
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

#define MAX_FRAMES 32

struct seen {
	__u64 runs;
	__s64 bytes; /* of the last stack; negative: an errno */
	__u64 frames[MAX_FRAMES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct seen);
} mp_seen SEC(".maps");

static __always_inline struct seen *ran(void)
{
	__u32 key = 0;
	struct seen *seen = bpf_map_lookup_elem(&mp_seen, &key);

	if (seen)
		seen->runs++;
	return seen;
}

/* What the function returns, what its replacement does, and what is added to these. */
#define ORIGINAL 1
#define REPLACED 2
#define ADDED    10

__noinline int mp_callee(struct __sk_buff *skb)
{
	/* Nobody may know the result: what replaces the function returns another. */
	volatile int result = ORIGINAL;

	asm volatile("" : : "r"(skb)); /* or it would not be passed */
	return result;
}

/*
 * A trampoline runs before the function has pushed its frame: by frame pointers the one
 * that called it is missing in a stack, and the one before is there.
 */
static __noinline int mp_middle(struct __sk_buff *skb)
{
	return mp_callee(skb) + ADDED;
}

SEC("tc")
int mp_caller(struct __sk_buff *skb)
{
	ran();
	return mp_middle(skb);
}

static __always_inline int keep_stack(void *ctx)
{
	struct seen *seen = ran();

	if (seen)
		seen->bytes = bpf_get_stack(ctx, seen->frames, sizeof(seen->frames), 0);
	return 0;
}

SEC("fentry/mp_callee")
int mp_tracer(__u64 *ctx)
{
	return keep_stack(ctx);
}

SEC("freplace/mp_callee")
int mp_extension(struct __sk_buff *skb)
{
	volatile int result = REPLACED;

	ran();
	return result;
}

SEC("fentry/mp_extension")
int mp_tracer_ext(__u64 *ctx)
{
	return keep_stack(ctx);
}

/* The frees of programs' maps run through its trampoline. */
SEC("fexit/__bpf_free_used_maps")
int mp_freed(__u64 *ctx)
{
	return 0;
}
