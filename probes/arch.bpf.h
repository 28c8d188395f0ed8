/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef MAPPROF_ARCH_BPF_H
#define MAPPROF_ARCH_BPF_H

/*
 * What differs between architectures, but for the registers of bpf_tracing.h: the
 * registers that a thread enters the kernel with, the number of bpf(2), and, where a return
 * address on the stack is plain, where text begins.
 */
#if defined(__TARGET_ARCH_x86)

struct pt_regs___entry {
	__u64 orig_ax;
	__u64 di;
} __attribute__((preserve_access_index));

#define ENTRY_NR   orig_ax
#define ENTRY_ARG1 di
#define NR_BPF     321

#define TEXT_SHIFT 31 /* The kernel maps its text in the last 1 << 31 bytes (mm.rst). */

#elif defined(__TARGET_ARCH_arm64)

struct pt_regs___entry {
	__u64 orig_x0;
	__s32 syscallno;
} __attribute__((preserve_access_index));

#define ENTRY_NR   syscallno
#define ENTRY_ARG1 orig_x0
#define NR_BPF     280

#else
#error "no registers known for this architecture"
#endif

#endif
