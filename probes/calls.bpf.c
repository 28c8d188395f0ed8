//go:build ignore

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * When a function was called, and by which thread: for functions that are
 * called now and then, that may sleep, and whose task may go on on another CPU.
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

#define MAX_CALLS 4096

struct call {
	__u64 begin_ns; /* CLOCK_MONOTONIC */
	__u64 end_ns;
	__u64 tid;
};

/* By the frame of the call's programs. (By thread would not do: a softirq may
 * call the same function within.) */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_CALLS);
	__type(key, __u64);
	__type(value, __u64); /* begin, ns */
} mpf_under_way SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, MAX_CALLS);
	__type(value, struct call);
} mpf_calls_ended SEC(".maps");

__u64 calls_unseen = 0; /* ended without their begin, or without room */

/* The frame of a program is in r10, which clang 14 has no other way to name.
 * Both programs are called from the same place of the same trampoline. */
static __always_inline __u64 frame(void)
{
	__u64 r10;

	asm volatile("%0 = r10" : "=r"(r10));
	return r10;
}

SEC("fentry/array_map_alloc")
int call_entry(__u64 *ctx)
{
	__u64 key = frame();
	__u64 now = bpf_ktime_get_ns();

	/* Where there is no room, the exit finds no begin. */
	bpf_map_update_elem(&mpf_under_way, &key, &now, BPF_ANY);
	return 0;
}

SEC("fexit/array_map_alloc")
int call_exit(__u64 *ctx)
{
	struct call call = {};
	__u64 key = frame();
	__u64 *begin;

	call.end_ns = bpf_ktime_get_ns();
	call.tid = (__u32)bpf_get_current_pid_tgid();
	begin = bpf_map_lookup_elem(&mpf_under_way, &key);
	if (!begin) {
		__sync_fetch_and_add(&calls_unseen, 1);
		return 0;
	}
	call.begin_ns = *begin;
	/* Before the call is no longer under way: who waits for that finds it. */
	if (bpf_map_push_elem(&mpf_calls_ended, &call, 0))
		__sync_fetch_and_add(&calls_unseen, 1);
	bpf_map_delete_elem(&mpf_under_way, &key);
	return 0;
}
