//go:build ignore

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Readers that stay in their read-side section until user space lets them go,
 * and that write down themselves when they were in it. The kernel's test run
 * of a program enters the section (rcu_read_lock(), rcu_read_lock_trace())
 * before its first instruction and leaves it after its last.
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

/* Times of bpf_ktime_get_ns(). One reader at a time. */
volatile __u64 entered_ns = 0; /* inside */
volatile __u64 left_ns = 0;    /* still inside, about to leave; 0: not yet */
volatile __u64 until_ns = 0;   /* the busy reader leaves no earlier */

static long look(__u32 i, void *unused)
{
	return bpf_ktime_get_ns() >= until_ns;
}

static long look_on(__u32 i, void *unused)
{
	bpf_loop(1 << 20, look, 0, 0);
	return bpf_ktime_get_ns() >= until_ns;
}

/*
 * Busy: an RCU reader must not sleep. Its test run has preemption disabled, so
 * that the section ends right after the program. bpf_loop() came with 5.17
 * (e6f2dd0f8067).
 */
SEC("raw_tp")
int hold_rcu(void *ctx)
{
	entered_ns = bpf_ktime_get_ns();
	bpf_loop(1 << 20, look_on, 0, 0);
	left_ns = bpf_ktime_get_ns();
	return 0;
}

struct hold_args {
	__u64 page; /* in user space; its page fault is served late */
};

/* Asleep in the page fault of a tasks-trace reader. */
SEC("syscall")
int hold_tasks_trace(struct hold_args *args)
{
	char byte;
	long err;

	entered_ns = bpf_ktime_get_ns();
	err = bpf_copy_from_user(&byte, sizeof(byte), (void *)args->page);
	left_ns = bpf_ktime_get_ns();
	return err;
}
