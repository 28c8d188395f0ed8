/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef MAPPROF_STACK_BPF_H
#define MAPPROF_STACK_BPF_H

/*
 * The id of the caller's stack. Included by death.bpf.h.
 *
 * To unwind a stack by ORC takes 6000 instructions on x86, more than all else that a
 * death costs, and most deaths of a program come the same way. So an id is found again by
 * a key of a part of the stack: its innermost return addresses and the system call. That
 * is a guess. One of CHECKED_OF such deaths is unwound all the same, and the first guess that
 * was wrong is counted (COUNTER_STACK_GUESS) and is the last.
 */
#include "arch.bpf.h"

enum bpf_func_id___task_pt_regs {
	BPF_FUNC_task_pt_regs___exists = 175,
};

/* Whether the verifier knows entry_regs() for what it is. */
static __always_inline int regs_are_typed(void)
{
	return bpf_core_enum_value_exists(enum bpf_func_id___task_pt_regs,
					  BPF_FUNC_task_pt_regs___exists);
}

#define STACK_BYTES (16 << 10) /* of a thread, with the registers on top */

/* The registers that the current thread entered the kernel with. */
static __always_inline struct pt_regs___entry *entry_regs(void)
{
	struct task_struct *task;

	if (regs_are_typed())
		return (void *)bpf_task_pt_regs((void *)bpf_get_current_task_btf());
	task = (void *)bpf_get_current_task();
	return BPF_CORE_READ(task, stack) + STACK_BYTES -
	       bpf_core_type_size(struct pt_regs___entry);
}

#define STACKS_BITS 12
#define STACKS      (1 << STACKS_BITS)

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, STACKS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 127 * sizeof(__u64));
} mpf_stacks SEC(".maps");

/* Unwind every stack. */
const volatile __u32 unwind_always = 0;

#ifdef TEXT_SHIFT

#define CHECKED_OF 64

/*
 * Ids by key: the key's upper bits say where, its other bits stand above the id. An id
 * stays that of its stack: without BPF_F_REUSE_STACKID none gives way to another, and
 * user space removes none.
 */
__u64 known_stacks[STACKS] = {};
__u64 checks = 0; /* a random number, for which the deaths' own pattern doesn't matter */
__u32 guessed_wrong = 0;

#define KEY_ADDRESSES 4
#define STACK_WORDS   24

/*
 * The key of the current stack; 0: there is none, since ctx isn't on the thread's own
 * stack (but on an interrupt's), or too few return addresses are near.
 *
 * More of the stack would say less: above the frame of do_syscall_64() is a gap of random
 * size (randomize_kstack_offset) with what earlier calls have left there. Such a stale
 * word among the first ones only makes another key.
 */
static __always_inline __u64 key_of_stack(void *ctx)
{
	struct pt_regs___entry *regs = entry_regs();
	__u64 words[STACK_WORDS], key, arg1, distance;
	__u64 found = 0;

	if (regs_are_typed()) {
		distance = (void *)regs - ctx;
		key = regs->orig_ax;
		arg1 = regs->di;
	} else {
		void *pointers[2] = {ctx, regs};
		__u64 at[2];

		/* As numbers: the verifier lets nobody calculate with ctx and one of them. */
		if (bpf_probe_read_kernel(at, sizeof(at), pointers))
			return 0;
		distance = at[1] - at[0];
		key = BPF_CORE_READ(regs, orig_ax);
		arg1 = BPF_CORE_READ(regs, di);
	}
	if (distance >= STACK_BYTES)
		return 0;
	if (key == NR_BPF) /* by its command; a close(2) is the same for any file */
		key |= arg1 << 32;
	if (bpf_probe_read_kernel(words, sizeof(words), ctx))
		return 0;
	/* Without a branch: the verifier would follow each of them, 0.2 s a program. */
	for (int i = 0; i < STACK_WORDS; i++) {
		__u64 text = ((words[i] >> TEXT_SHIFT) + 1) >> (64 - TEXT_SHIFT);
		__u64 taken = -(text & (found - KEY_ADDRESSES) >> 63);
		__u64 next = (key ^ words[i]) * 0x9e3779b97f4a7c15 + i;

		key ^= (key ^ next) & taken;
		found += text;
	}
	return found < KEY_ADDRESSES ? 0 : key | 1;
}

static __always_inline int checks_now(void)
{
	checks = checks * 6364136223846793005 + 1442695040888963407;
	return (checks >> 32) % CHECKED_OF == 0;
}

/*
 * The id of the stack of a call that an fentry program sees; negative: an errno. Left out
 * are the tracer's own two frames, which differ between the copies of a program, and
 * change when another tracer attaches to the function.
 */
static __always_inline __s32 stack_of_call(void *ctx)
{
	__u64 key, known = STACKS, *slot = 0;
	__s32 id;

	if (unwind_always)
		return bpf_get_stackid(ctx, &mpf_stacks, 0);
	key = guessed_wrong ? 0 : key_of_stack(ctx);
	if (key) {
		slot = &known_stacks[key >> (64 - STACKS_BITS)];
		known = *slot ^ key << STACKS_BITS; /* its id, or more than any */
		if (known < STACKS && !checks_now())
			return known;
	}
	id = bpf_get_stackid(ctx, &mpf_stacks, 2);
	if (known < STACKS && id != known && (id >= 0 || id == -17 /* EEXIST */)) {
		count(COUNTER_STACK_GUESS);
		guessed_wrong = 1;
	}
	if (slot && id >= 0)
		*slot = key << STACKS_BITS | id;
	return id;
}

#else

/* On arm64 a return address is signed, by the place where it lies (pointer authentication). */
static __always_inline __s32 stack_of_call(void *ctx)
{
	return bpf_get_stackid(ctx, &mpf_stacks, 0);
}

#endif

#endif
