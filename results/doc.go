// Package results is what mapprof keeps of a run: the schema of run.json, the
// deaths, the histograms, and the directory that holds them.
//
// In: numbers that collect took out of a kernel. Out: a run directory that is
// whole or absent, and the same numbers read back. It is the ground floor:
// it knows no kernel, no probe, no QEMU and no terminal, and builds anywhere.
//
// Phases, strategies, clocks and map types are written down here once, each in
// a table (phases.go, strategies.go, clocks.go, maptypes.go). Whatever shows one
// asks the table when it does.
//
// Units are in the names: _ns is nanoseconds of the target's CLOCK_MONOTONIC
// (bpf_ktime_get_ns), _bytes is bytes, byte_seconds is bytes × seconds.
// Nothing here is safe for concurrent use unless it says so.
package results
