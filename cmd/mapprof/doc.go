// SPDX-License-Identifier: Apache-2.0

// Mapprof profiles the life and death of BPF maps: how long a map stays in
// memory after its last reference is dropped, which stage is to blame, and what
// that costs.
//
// Usage:
//
//	mapprof run [--workload NAME] [--strategy LIST] [--kernel KERNEL]... [-o DIR]
//	mapprof record [--kernel KERNEL]... [FLAGS] [-- COMMAND ARGS...]
//	mapprof top [FLAGS]
//	mapprof doctor [--kernel KERNEL]...
//	mapprof seeds [--commit COMMITS] [--kernel KERNEL]...
//	mapprof kernels list
//	mapprof kernels fetch SERIES...
//	mapprof report DIR... [-o FILE]
//	mapprof web [DIR...]
//	mapprof compare BEFORE [AFTER...]
//	mapprof history DIR... [-o FILE]
//	mapprof gate --baseline BEFORE --candidate AFTER
//	mapprof pprof DIR [PPROF-FLAGS]
//	mapprof export DIR --format FORMAT
//
// A run drives a real kernel with a synthetic workload and records every death
// of a map, phase by phase. The kernel is this machine's (--target local, as
// root) or a kernel image booted under QEMU (--target vm, as anybody).
// "mapprof COMMAND --help" lists a command's flags, "mapprof help WORKLOAD" those of
// a workload, and "mapprof help PHASE" says what a phase is.
//
// Run, record, top, doctor, seeds and kernels need Linux on x86-64. The other commands
// read runs, and do so on macOS and Windows too.
//
// # Measuring
//
// Run prints a table of phases and leaves a run directory. Several strategies,
// kernels and trials take turns. One trial is one boot of a VM, or one fresh
// set-up on a local target.
//
//	mapprof run --workload churn --strategy rcu,tasks-trace --kernel 6.12
//	mapprof run --kernel 6.12 --kernel ./bzImage --trials 8 -o before
//
// The first Ctrl-C ends a run early, and keeps its results marked as partial. The
// second ends it at once.
//
// Record watches the maps of other programs: a command in a VM or here, or all of
// this machine. It tells which outer map each was taken out of, who created it, and
// which sleepable program keeps it in memory. It lists the live maps with their holders,
// and tells at once of a map that is stuck. It leaves a run directory too.
//
//	mapprof record --kernel 6.12 --kernel 7.2 -- ./agent
//	mapprof record --target local --duration 1m
//
// Top shows the same of this machine live, full screen on a terminal, elsewhere as lines
// or as JSON. It leaves no file.
//
//	mapprof top
//	mapprof top --format json --count 10
//
// Doctor tells which probes attach on a kernel, which phases can be told apart
// there, and what is missing.
//
//	mapprof doctor --kernel ./bzImage
//
// Seeds runs a scenario for each kernel commit that mapprof exists to show, and prints
// one table: what the commit changed, and the figures on each kernel. It exits with 1
// where a kernel fails a proof.
//
//	mapprof seeds --list
//	mapprof seeds --commit 20c20bd11a13 --kernel 6.1 --kernel 6.12
//
// Kernels lists the kernels of Debian's archive and of the cache, and fetches
// them. Signatures are checked. A run fetches a missing kernel by itself.
//
//	mapprof kernels list
//	mapprof kernels fetch 6.1 6.12
//
// # Reading
//
// Report prints a run's tables again. With -o it writes one HTML file that needs
// no network; of several runs, the first is the base of a comparison.
//
//	mapprof report DIR
//	mapprof report BEFORE AFTER -o diff.html
//
// Web serves the runs under some directories, by default mapprof-runs, with
// pprof's views inside. It listens on loopback.
//
//	mapprof web DIR --http 127.0.0.1:8080 --no-browser
//
// Pprof shows the profile of a run: who dropped the last references, with phases
// as leaf frames, and kernel, strategy and outer map as the outermost ones. Its flags
// are those of go tool pprof, and -raw_stacks for the stacks as the file has them.
//
//	mapprof pprof DIR -top
//	mapprof pprof AFTER -diff_base=BEFORE -top
//
// Export writes a run in another tool's format: benchfmt, csv,
// github-action-benchmark, hlog, openmetrics, prometheus or trace.
//
//	mapprof export DIR --format trace -o trace.json
//
// # Comparing
//
// Compare prints what changed between runs, or between the scenarios of one, and
// how sure that is. Its exit code is 0, whatever changed.
//
//	mapprof compare BEFORE AFTER
//	mapprof compare DIR --by kernel
//
// History follows every figure over many runs, and finds those at which it changed,
// with what else was new there. With -o it writes one HTML file.
//
//	mapprof history DIR BEFORE AFTER
//
// Gate judges a run against a baseline by a policy, with an exit code for CI.
// Missing data never passes. With --self-test it proves itself: unchanged pairs
// of runs must pass, planted slowdowns must fail. That boots VMs, which needs
// Linux; --no-vm judges made-up runs only.
//
//	mapprof gate --baseline BEFORE --candidate AFTER --junit gate.xml
//	mapprof gate --self-test --no-vm
//
// # Exit codes
//
//	0  fine; of gate: pass
//	1  failure, a run that doesn't balance included
//	2  usage: a flag, an argument or a policy is wrong
//	3  gate found a regression
//	4  gate is inconclusive: missing data, or runs that can't be compared
//	129, 130, 143  SIGHUP, SIGINT (Ctrl-C) or SIGTERM ended it before it was done, whether
//	               a partial run was kept or not
//
// A recording, top and web have no other end than a signal: they exit with 0 then.
//
// # Environment
//
//	MAPPROF_CACHE        folder of kernel images (default: mapprof in the user's
//	                     cache folder)
//	MAPPROF_QEMU         the QEMU program to boot with
//	XDG_STATE_HOME       where web keeps notes on runs, in mapprof/notes.json (default:
//	                     ~/.local/state, elsewhere the folder of settings)
//	NO_COLOR             if set and not empty, output has no colours
//	GITHUB_STEP_SUMMARY  the file that gate appends its verdict to, as Markdown
//
// # Files
//
// A run directory is whole or absent: it is written under a temporary name and
// renamed. A recording's is a run as of its last --interval until it ends. Its files are
//
//	run.json          target, scenarios, trials, statistics, loss, warnings
//	histograms.hlog   HdrHistogram log, a histogram per scenario, trial, time (and interval)
//	profile.pb.gz     pprof profile
//	deaths.jsonl.zst  every death, one line each; absent with --no-deaths
//	JOURNAL           marks a recording that has not ended
//
// Package github.com/mapprof/mapprof/results reads them; docs/run.schema.json beside it is
// the JSON Schema of run.json.
package main
