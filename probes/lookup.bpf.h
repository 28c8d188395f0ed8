/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef MAPPROF_LOOKUP_BPF_H
#define MAPPROF_LOOKUP_BPF_H

/*
 * What one CPU counts of a function's calls: an HDR histogram of 1 ns to
 * 2^36 - 1 ns with two significant digits, its buckets laid out as
 * hdrhistogram-go lays them out, and exact figures beside it.
 */
#define HIST_SUB_BITS 7 /* log2 of the half of a bucket's sub-buckets */
#define HIST_SUB      (1 << (HIST_SUB_BITS + 1))
#define HIST_MAX_NS   ((1ULL << 36) - 1)
#define HIST_COUNTS   3840

/*
 * Below HIST_SUB a bucket is one nanosecond wide, so that the number, the exact
 * sum, minimum and maximum of those values follow from the counts. They are kept
 * here only of the values from HIST_SUB up: most lookups are shorter, and don't
 * pay for it.
 */
struct lookup_cpu {
	__u64 owner;    /* of start_ns: the frame of the call's programs */
	__u64 start_ns; /* of the call under way */
	__u64 count;    /* of the values from HIST_SUB up, as the next three */
	__u64 sum_ns;
	__u64 min_ns; /* 0: there was none */
	__u64 max_ns;
	__u64 overflow;  /* values above HIST_MAX_NS: in no bucket */
	__u64 went_back; /* a call ended before it began: not counted */
	__u64 excluded;  /* calls for other maps that began */
	__u64 unmatched; /* calls that ended without their start: those for other
			    maps, and those whose start was missed or overwritten */
	__u64 pages;     /* that the calls were for, where they are for pages */
	__u64 stack;     /* of the one thread whose calls those are */
	__u64 frame;     /* on it, unless an interrupt's */
	__u64 left;      /* where calls are sampled: until the next one is, that one too */
	__u64 spread;    /* twice the mean gap, less one */
	__u64 random;    /* state of the generator */
	__u64 drawn;     /* sum of all gaps: less what is left, the calls that were seen */
	__u64 sampled;   /* calls for the map whose start was kept */
	__u64 counts[HIST_COUNTS];
	__u64 unused[4096 - 18 - HIST_COUNTS]; /* a power of two: indexed by shifting */
};
_Static_assert(sizeof(struct lookup_cpu) == 32768, "lookup_cpu is not 32 KiB");

#endif
