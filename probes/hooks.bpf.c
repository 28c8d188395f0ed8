//go:build ignore

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The life of a map from its last put to freed memory.
 *
 *   bpf_map_put, bpf_map_put_with_uref, bpf_map_release
 *                            perhaps the last put: one reference is left
 *   call_rcu, call_rcu_tasks_trace, call_srcu
 *                            a wait begins, for the rcu_head inside the map
 *   bpf_map_free_mult_rcu_gp, bpf_map_free_rcu_gp
 *                            a wait ended: the callback runs
 *   queue_work_on            it is given to a kworker
 *   bpf_map_free_deferred    a kworker frees it
 *   synchronize_rcu*         somebody blocks: an updater, or map_free itself
 *   __wait_rcu_gp, call_rcu_tasks
 *                            map_free itself, for several grace periods at once
 *   rcu_gp_init, rcu_gp_cleanup, rcu_tasks_trace_pregp_step, _postgp
 *                            a grace period of the whole system, where seen
 *
 * bpf_map_free_id(), where the map leaves the id table, is inlined into
 * bpf_map_put() by the usual compilers: a probe on it attaches and sees
 * nothing. idr_remove() is in lib/, which is built without ftrace. So every put
 * that finds one reference left makes a candidate, and what must follow within
 * it (call_rcu*() or queue_work_on() for that map) confirms that it was the
 * last. A put that raced with another reference stays unconfirmed, counts for
 * nothing, and is overwritten by the map's next. bpf_map_put() may be inlined
 * too, into the two others, which are in its file and may not be.
 *
 * Every hook exists twice, as fentry/fexit and as kprobe/kretprobe; user space
 * loads the one that works.
 */
#include "death.bpf.h"
#include "wait.bpf.h"
#include "program.bpf.h"
#include "cgroup.bpf.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* fentry and fexit: ctx holds the arguments. */

enum bpf_func_id___func_arg {
	BPF_FUNC_get_func_arg___exists = 183,
};

/*
 * An argument that is a pointer, as a number: the verifier lets nobody calculate with a
 * pointer, nor load one to a function (up to 6.12 at least).
 */
static __always_inline __u64 arg(__u64 *ctx, __u32 n)
{
	__u64 value = 0;

	if (bpf_core_enum_value_exists(enum bpf_func_id___func_arg, BPF_FUNC_get_func_arg___exists))
		bpf_get_func_arg(ctx, n, &value);
	else
		bpf_probe_read_kernel(&value, sizeof(value), &ctx[n]);
	return value;
}

SEC("fentry/bpf_map_put")
int fe_put(__u64 *ctx)
{
	return on_put(ctx, CALL_TYPED, (void *)ctx[0], arg(ctx, 0));
}

SEC("fentry/bpf_map_put_with_uref")
int fe_put_uref(__u64 *ctx)
{
	return on_put(ctx, CALL_TYPED, (void *)ctx[0], arg(ctx, 0));
}

SEC("fentry/bpf_map_release")
int fe_release(__u64 *ctx)
{
	struct file *file = (void *)ctx[1];
	/* By a call: newer verifiers (7.0) take what a plain read gives for a pointer. */
	void *map = BPF_CORE_READ(file, private_data);

	return on_put(ctx, CALL_FENTRY, map, (__u64)map);
}

SEC("fentry/queue_work_on")
int fe_queue(__u64 *ctx)
{
	return on_queue(ctx, (void *)arg(ctx, 2));
}

SEC("fentry/call_rcu")
int fe_call_rcu(__u64 *ctx)
{
	return on_enqueue(ctx, (void *)arg(ctx, 0), arg(ctx, 1), STAGE_RCU);
}

SEC("fentry/call_rcu_tasks_trace")
int fe_call_tt(__u64 *ctx)
{
	return on_enqueue(ctx, (void *)arg(ctx, 0), arg(ctx, 1), STAGE_TASKS_TRACE);
}

/*
 * Since 7.0 call_rcu_tasks_trace() is an inline around call_srcu(). Maps are
 * given to no other SRCU domain.
 */
SEC("fentry/call_srcu")
int fe_call_srcu(__u64 *ctx)
{
	return on_enqueue(ctx, (void *)arg(ctx, 1), arg(ctx, 2), STAGE_TASKS_TRACE);
}

SEC("fentry/bpf_map_free_mult_rcu_gp")
int fe_cb_mult(__u64 *ctx)
{
	return on_callback((void *)arg(ctx, 0));
}

SEC("fentry/bpf_map_free_rcu_gp")
int fe_cb_rcu(__u64 *ctx)
{
	return on_callback((void *)arg(ctx, 0));
}

SEC("fentry/bpf_map_free_deferred")
int fe_free(__u64 *ctx)
{
	return on_free_entry((void *)arg(ctx, 0));
}

SEC("fexit/bpf_map_free_deferred")
int fx_free(__u64 *ctx)
{
	return on_free_exit();
}

SEC("fentry/synchronize_rcu")
int fe_sync(__u64 *ctx)
{
	return on_wait_entry(WAIT_SYNC);
}

SEC("fexit/synchronize_rcu")
int fx_sync(__u64 *ctx)
{
	return on_wait_exit(WAIT_SYNC);
}

SEC("fentry/synchronize_rcu_expedited")
int fe_sync_exp(__u64 *ctx)
{
	return on_wait_entry(WAIT_SYNC_EXPEDITED);
}

SEC("fexit/synchronize_rcu_expedited")
int fx_sync_exp(__u64 *ctx)
{
	return on_wait_exit(WAIT_SYNC_EXPEDITED);
}

SEC("fentry/rcu_barrier")
int fe_barrier(__u64 *ctx)
{
	return on_wait_entry(WAIT_BARRIER);
}

SEC("fexit/rcu_barrier")
int fx_barrier(__u64 *ctx)
{
	return on_wait_exit(WAIT_BARRIER);
}

SEC("fentry/__wait_rcu_gp")
int fe_wait_gp(__u64 *ctx)
{
	return on_wait_entry(WAIT_GP);
}

SEC("fexit/__wait_rcu_gp")
int fx_wait_gp(__u64 *ctx)
{
	return on_wait_exit(WAIT_GP);
}

SEC("fentry/call_rcu_tasks")
int fe_call_tasks(__u64 *ctx)
{
	return on_call_tasks();
}

SEC("fentry/rcu_gp_init")
int fe_gp_init(__u64 *ctx)
{
	return on_gp_start(STAGE_RCU);
}

SEC("fentry/rcu_gp_cleanup")
int fe_gp_cleanup(__u64 *ctx)
{
	return on_gp_end(STAGE_RCU);
}

SEC("fentry/rcu_tasks_trace_pregp_step")
int fe_tt_pregp(__u64 *ctx)
{
	return on_gp_start(STAGE_TASKS_TRACE);
}

SEC("fentry/rcu_tasks_trace_postgp")
int fe_tt_postgp(__u64 *ctx)
{
	return on_gp_end(STAGE_TASKS_TRACE);
}

/* Whose a map is; only where owners are watched. */

SEC("fentry/bpf_map_init_from_attr")
int fe_create(__u64 *ctx)
{
	return on_create((void *)ctx[0]);
}

/* Since 20c20bd11a13 (6.8): the outer map, and whether the free is deferred. */
SEC("fentry/bpf_map_fd_put_ptr")
int fe_taken(__u64 *ctx)
{
	return on_taken((void *)ctx[0], (void *)ctx[1],
			OWNER_DEFER_KNOWN | ((ctx[2] & 1) ? OWNER_DEFER : 0));
}

/* Before, it has the inner map alone: the outer one is what the thread is at. */
SEC("fentry/bpf_map_fd_put_ptr")
int fe_taken_before(__u64 *ctx)
{
	return on_taken(outer_under_way(), (void *)ctx[0], 0);
}

/* The last step of a load, which has an id then. */
SEC("fentry/bpf_prog_kallsyms_add")
int fe_prog_load(__u64 *ctx)
{
	struct bpf_prog *prog = (void *)ctx[0];

	return on_prog(prog, BPF_CORE_READ(prog, aux), 0);
}

SEC("fentry/bpf_prog_free_deferred")
int fe_prog_free(__u64 *ctx)
{
	struct bpf_prog_aux *aux = 0;

	aux = (void *)ctx[0] - bpf_core_field_offset(aux->work);
	return on_prog(BPF_CORE_READ(aux, prog), aux, 1);
}

SEC("tp_btf/cgroup_mkdir")
int fe_cgroup(__u64 *ctx)
{
	return on_cgroup((void *)ctx[0], (void *)ctx[1]);
}

SEC("fentry/bpf_fd_array_map_update_elem")
int fe_outer_array_update(__u64 *ctx)
{
	return on_outer((void *)ctx[0]);
}

SEC("fentry/bpf_fd_htab_map_update_elem")
int fe_outer_hash_update(__u64 *ctx)
{
	return on_outer((void *)ctx[0]);
}

SEC("fentry/fd_array_map_delete_elem")
int fe_outer_array_delete(__u64 *ctx)
{
	return on_outer((void *)ctx[0]);
}

SEC("fentry/htab_map_delete_elem")
int fe_outer_hash_delete(__u64 *ctx)
{
	return on_outer((void *)ctx[0]);
}

/*
 * kprobe and kretprobe: the same, for kernels that refuse the above. The
 * kernel runs no kprobe program while a bpf(2) map operation runs on that CPU
 * (bpf_disable_instrumentation()): a put inside an update of an outer map is
 * not seen by these, and counts as a recursion miss.
 */

SEC("kprobe/bpf_map_put")
int kp_put(struct pt_regs *ctx)
{
	return on_put(ctx, CALL_OTHER, (void *)PT_REGS_PARM1(ctx), PT_REGS_PARM1(ctx));
}

SEC("kprobe/bpf_map_put_with_uref")
int kp_put_uref(struct pt_regs *ctx)
{
	return on_put(ctx, CALL_OTHER, (void *)PT_REGS_PARM1(ctx), PT_REGS_PARM1(ctx));
}

SEC("kprobe/bpf_map_release")
int kp_release(struct pt_regs *ctx)
{
	/* Apart, or CO-RE would relocate the register's name too. */
	struct file *file = (void *)PT_REGS_PARM2(ctx);
	void *map = BPF_CORE_READ(file, private_data);

	return on_put(ctx, CALL_OTHER, map, (__u64)map);
}

SEC("kprobe/queue_work_on")
int kp_queue(struct pt_regs *ctx)
{
	return on_queue(ctx, (void *)PT_REGS_PARM3(ctx));
}

SEC("kprobe/call_rcu")
int kp_call_rcu(struct pt_regs *ctx)
{
	return on_enqueue(ctx, (void *)PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), STAGE_RCU);
}

SEC("kprobe/call_rcu_tasks_trace")
int kp_call_tt(struct pt_regs *ctx)
{
	return on_enqueue(ctx, (void *)PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), STAGE_TASKS_TRACE);
}

SEC("kprobe/call_srcu")
int kp_call_srcu(struct pt_regs *ctx)
{
	return on_enqueue(ctx, (void *)PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx), STAGE_TASKS_TRACE);
}

SEC("kprobe/bpf_map_free_mult_rcu_gp")
int kp_cb_mult(struct pt_regs *ctx)
{
	return on_callback((void *)PT_REGS_PARM1(ctx));
}

SEC("kprobe/bpf_map_free_rcu_gp")
int kp_cb_rcu(struct pt_regs *ctx)
{
	return on_callback((void *)PT_REGS_PARM1(ctx));
}

SEC("kprobe/bpf_map_free_deferred")
int kp_free(struct pt_regs *ctx)
{
	return on_free_entry((void *)PT_REGS_PARM1(ctx));
}

SEC("kretprobe/bpf_map_free_deferred")
int krp_free(struct pt_regs *ctx)
{
	return on_free_exit();
}

SEC("kprobe/synchronize_rcu")
int kp_sync(struct pt_regs *ctx)
{
	return on_wait_entry(WAIT_SYNC);
}

SEC("kretprobe/synchronize_rcu")
int krp_sync(struct pt_regs *ctx)
{
	return on_wait_exit(WAIT_SYNC);
}

SEC("kprobe/synchronize_rcu_expedited")
int kp_sync_exp(struct pt_regs *ctx)
{
	return on_wait_entry(WAIT_SYNC_EXPEDITED);
}

SEC("kretprobe/synchronize_rcu_expedited")
int krp_sync_exp(struct pt_regs *ctx)
{
	return on_wait_exit(WAIT_SYNC_EXPEDITED);
}

SEC("kprobe/rcu_barrier")
int kp_barrier(struct pt_regs *ctx)
{
	return on_wait_entry(WAIT_BARRIER);
}

SEC("kretprobe/rcu_barrier")
int krp_barrier(struct pt_regs *ctx)
{
	return on_wait_exit(WAIT_BARRIER);
}

SEC("kprobe/__wait_rcu_gp")
int kp_wait_gp(struct pt_regs *ctx)
{
	return on_wait_entry(WAIT_GP);
}

SEC("kretprobe/__wait_rcu_gp")
int krp_wait_gp(struct pt_regs *ctx)
{
	return on_wait_exit(WAIT_GP);
}

SEC("kprobe/call_rcu_tasks")
int kp_call_tasks(struct pt_regs *ctx)
{
	return on_call_tasks();
}

SEC("kprobe/rcu_gp_init")
int kp_gp_init(struct pt_regs *ctx)
{
	return on_gp_start(STAGE_RCU);
}

SEC("kprobe/rcu_gp_cleanup")
int kp_gp_cleanup(struct pt_regs *ctx)
{
	return on_gp_end(STAGE_RCU);
}

SEC("kprobe/rcu_tasks_trace_pregp_step")
int kp_tt_pregp(struct pt_regs *ctx)
{
	return on_gp_start(STAGE_TASKS_TRACE);
}

SEC("kprobe/rcu_tasks_trace_postgp")
int kp_tt_postgp(struct pt_regs *ctx)
{
	return on_gp_end(STAGE_TASKS_TRACE);
}
