//go:build ignore

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Redirects frames, counts those that arrive, and how many the kernel moves at once.
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

#define MAX_STREAMS 2
#define MAX_AT_ONCE 256 /* frames of a bulk or of a flush; more count as that many */

struct per_stream {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_STREAMS);
	__type(key, __u32);
	__type(value, __u64);
};

struct per_size {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_AT_ONCE + 1);
	__type(key, __u32);
	__type(value, __u64);
};

struct per_stream mp_xdp_sent SEC(".maps");
struct per_stream mp_xdp_arrived SEC(".maps");
struct per_size mp_xdp_bulks SEC(".maps");
struct per_size mp_xdp_flushes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} mp_xdp_unflushed SEC(".maps"); /* frames in bulks since the last flush */

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP); /* or what it is made before it is loaded */
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} mp_xdp_to SEC(".maps");

const volatile __u32 to = 0; /* the key in the map, or the device */

/* A frame of the workload begins so, and then has its stream. */
#define MARK_BYTES 5
static const __u8 mark[MARK_BYTES] = {0x02, 'm', 'p', 'x', 'd'};

static __always_inline __u64 *count_of(void *map, __u32 key)
{
	return bpf_map_lookup_elem(map, &key);
}

static __always_inline void add(void *map, __u32 key, __u64 n)
{
	__u64 *count = count_of(map, key);

	if (count)
		*count += n;
}

/* The stream that a frame is of; negative: a frame of the kernel's own. */
static __always_inline int stream_of(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;

	if (data + MARK_BYTES + 1 > (__u8 *)(long)ctx->data_end)
		return -1;
#pragma unroll
	for (int i = 0; i < MARK_BYTES; i++)
		if (data[i] != mark[i])
			return -1;
	return data[MARK_BYTES];
}

static __always_inline int redirected(int stream, long verdict)
{
	if (verdict == XDP_REDIRECT)
		add(&mp_xdp_sent, stream, 1);
	return verdict;
}

SEC("xdp")
int mp_to_map(struct xdp_md *ctx)
{
	int stream = stream_of(ctx);

	return stream < 0 ? XDP_DROP : redirected(stream, bpf_redirect_map(&mp_xdp_to, to, 0));
}

SEC("xdp")
int mp_to_ifindex(struct xdp_md *ctx)
{
	int stream = stream_of(ctx);

	return stream < 0 ? XDP_DROP : redirected(stream, bpf_redirect(to, 0));
}

static __always_inline int arrived(struct xdp_md *ctx)
{
	int stream = stream_of(ctx);

	if (stream >= 0)
		add(&mp_xdp_arrived, stream, 1);
	return XDP_DROP;
}

SEC("xdp")
int mp_at_device(struct xdp_md *ctx)
{
	return arrived(ctx);
}

SEC("xdp/cpumap")
int mp_at_cpu(struct xdp_md *ctx)
{
	return arrived(ctx);
}

/* Where nothing is to be redirected now. */
SEC("xdp")
int mp_rest(struct xdp_md *ctx)
{
	return XDP_DROP;
}

/* The queues of kernel/bpf/devmap.c and kernel/bpf/cpumap.c, one a CPU and target. */
struct xdp_dev_bulk_queue {
	unsigned int count;
} __attribute__((preserve_access_index));

struct xdp_bulk_queue {
	unsigned int count;
} __attribute__((preserve_access_index));

static __always_inline int bulk(__u32 frames)
{
	if (!frames)
		return 0;
	add(&mp_xdp_bulks, frames > MAX_AT_ONCE ? MAX_AT_ONCE : frames, 1);
	add(&mp_xdp_unflushed, 0, frames);
	return 0;
}

SEC("fentry/bq_xmit_all")
int mp_bulk_dev(__u64 *ctx)
{
	return bulk(((struct xdp_dev_bulk_queue *)ctx[0])->count);
}

SEC("fentry/bq_flush_to_queue")
int mp_bulk_cpu(__u64 *ctx)
{
	return bulk(((struct xdp_bulk_queue *)ctx[0])->count);
}

SEC("fexit/xdp_do_flush")
int mp_flush(__u64 *ctx)
{
	__u64 *unflushed = count_of(&mp_xdp_unflushed, 0);

	if (!unflushed || !*unflushed)
		return 0;
	add(&mp_xdp_flushes, *unflushed > MAX_AT_ONCE ? MAX_AT_ONCE : *unflushed, 1);
	*unflushed = 0;
	return 0;
}
