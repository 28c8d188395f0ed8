// Package probes is what watches the kernel: BPF programs that follow each map
// from its last put to freed memory, and the code that finds out by which
// mechanism they attach on the kernel at hand.
//
// In: a Config. Out: attached programs (Probes), a ring buffer of events whose
// layout is in events.bpf.h, and counters of everything that was missed.
//
// It decides by BTF and by attaching, never by kernel version. It imports
// cilium/ebpf and nothing of ours: it knows no workload, no table, no VM.
//
// Kernel floor: 5.10 (ring buffer 5.8; fentry 5.5 on x86; kprobes elsewhere).
package probes

//go:generate -command lifecycle go tool bpf2go -cc clang-14 -strip llvm-strip-14 -output-stem lifecycle -type death_event -type wait_event -type gp_event -type prog_event -type cgroup_event -type event_kind -type stage_kind -type counter -type watch_state -type freeing -type owner -type owned_death -type owner_flag -type free_wait
//go:generate lifecycle -target amd64 lifecycle hooks.bpf.c -- -O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu
//go:generate lifecycle -target arm64 lifecycle hooks.bpf.c -- -O2 -g -Wall -Werror -I/usr/aarch64-linux-gnu/include
