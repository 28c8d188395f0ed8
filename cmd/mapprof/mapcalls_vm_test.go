// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/results"
)

// callWaits is how often one call on each map of maps waits for a grace period, by the
// kernel; "": any other. Those that 5.10 hasn't wait never there.
var callWaits = map[string]map[string]float64{
	"array-of-maps.lookup": {"5.10": 1, "6.1": 1, "": 0}, "hash-of-maps.lookup": {"5.10": 1, "6.1": 1, "": 0},
	"array-of-maps.update": {"": 1}, "hash-of-maps.update": {"": 1},
	"array-of-maps.delete": {"": 1}, "hash-of-maps.delete": {"": 1},
	"array-of-maps.lookup-batch": {"6.1": 32, "": 0}, "hash-of-maps.lookup-batch": {"": 0},
	"array-of-maps.update-batch": {"6.1": 32, "": 1}, "hash-of-maps.update-batch": {"6.1": 32, "": 1},
	"array-of-maps.delete-batch.refused": {"5.10": 0, "6.1": 0, "": 1}, "hash-of-maps.delete-batch": {"": 1},
	"array-of-maps.lookup-delete-batch.refused": {"5.10": 0, "6.1": 0, "": 1}, "hash-of-maps.lookup-delete-batch": {"6.1": 0, "": 1},
}

// TestVMMapCallsOnEveryKernel: user space looks up ids in maps of maps. Up to 6.7 each
// lookup waits for a grace period, and a batch as often as it has elements; since 6.8
// (37ba5b59d6ad, c26f2a890139) no lookup does, and a batch that writes waits once, also one
// that is refused. No other map waits. 5.10 has no batches for maps of maps.
func TestVMMapCallsOnEveryKernel(t *testing.T) {
	t.Parallel()
	for _, kernel := range vmtest.Kernels() {
		t.Run(kernel, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			code, stdout, stderr := mapprof(t, "run", "--target", "vm", "--kernel", kernel, "--workload", "mapcalls", "--count", "2",
				"--map", "array,hash,lru-hash,percpu-hash,lpm-trie,array-of-maps,hash-of-maps", "-o", dir)
			if code != exitOK {
				t.Fatalf("exit %d\n%s", code, stderr)
			}
			d, err := results.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			metrics := d.Run.Scenarios[0].Metrics
			for call, waits := range callWaits {
				want, ok := waits[kernel]
				if !ok {
					want = waits[""]
				}
				if _, refused := metrics["calls."+call+".refused"]; kernel == "5.10" && refused {
					call, want = call+".refused", 0
				}
				if m := metrics["calls."+call+".waits"]; m.N != 2 || m.Min != want || m.Max != want {
					t.Errorf("%s: %d calls, %v to %v waits, want %v", call, m.N, m.Min, m.Max, want)
				}
			}
			for _, m := range []string{"array", "hash", "lru-hash", "percpu-hash", "lpm-trie"} {
				for _, call := range []string{"lookup", "update", "lookup-batch", "update-batch"} {
					name := fmt.Sprintf("calls.%s.%s.waits", m, call)
					refused := kernel == "5.10" && m == "lpm-trie" && (call == "lookup-batch" || call == "update-batch")
					if got := metrics[name]; !refused && (got.N != 2 || got.Max != 0) {
						t.Errorf("%s: %d calls, up to %v", name, got.N, got.Max)
					}
				}
			}
			if t.Failed() {
				t.Log(stdout)
			}
		})
	}
}
