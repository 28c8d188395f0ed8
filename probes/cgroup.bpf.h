/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef MAPPROF_CGROUP_BPF_H
#define MAPPROF_CGROUP_BPF_H

/* The paths of cgroups, which may be gone before user space looks for them. */
#include "death.bpf.h"

struct kernfs_node {
	__u64 id;
} __attribute__((preserve_access_index));

struct cgroup_root {
	int hierarchy_id;
} __attribute__((preserve_access_index));

struct cgroup {
	struct kernfs_node *kn;
	struct cgroup_root *root;
} __attribute__((preserve_access_index));

/*
 * A cgroup was made. Those of version 1 have other ids than bpf_get_current_cgroup_id()
 * tells: the hierarchy of version 2 is number 0.
 */
static __always_inline int on_cgroup(struct cgroup *cgroup, const char *path)
{
	struct cgroup_event event = {.kind = EVENT_CGROUP};
	long n;

	if (BPF_CORE_READ(cgroup, root, hierarchy_id))
		return 0;
	event.id = BPF_CORE_READ(cgroup, kn, id);
	n = bpf_probe_read_kernel_str(event.path, sizeof(event.path), path);
	if (n <= 0 || n == sizeof(event.path)) /* it doesn't fit: user space will look */
		return 0;
	if (bpf_ringbuf_output(&mpf_events, &event, sizeof(event), wakeup()))
		count(COUNTER_CGROUP_RINGBUF_FULL);
	return 0;
}

#endif
