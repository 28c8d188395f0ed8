// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// TestVMPrograms: the verifier is called for each global function and once for all static
// ones, which takes longer than the longest of the former; a stack through a program that
// traces a function names it, its trampoline, the function and who runs it; the stack of a
// last put names a trampoline that is younger than the symbols that were read; and an
// unload waits for a grace period of its own.
func TestVMPrograms(t *testing.T) {
	t.Parallel()
	const count = 3
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := mapprof(t, "run", "--target", "vm", "--kernel", "6.12", "--workload", "programs", "--count", "3", "-o", dir)
	if code != exitOK {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &d.Run.Scenarios[0]
	tr := &s.Trials[0]
	for kind, want := range map[string]float64{"globals": 33, "statics": 1} {
		calls, single, load := s.Metrics["programs.verify.calls."+kind], s.Metrics["programs.verify.call."+kind], s.Metrics["programs.load."+kind]
		if calls.N != count || calls.Min != want || calls.P50 != want || single.N < uint64(want)*count || load.N != count || single.Max > load.Max {
			t.Errorf("%s: %+v calls a load of %+v, each %+v", kind, calls, load, single)
		}
	}
	if globals, statics := s.Metrics["programs.verify.call.globals"], s.Metrics["programs.verify.call.statics"]; globals.P50*4 > statics.P50 {
		t.Errorf("one global function of 32 took the verifier %v ns, and 32 static ones %v ns", globals.P50, statics.P50)
	}
	for _, role := range []string{"target", "fentry", "freplace", "fentry-of-freplace"} {
		if m := s.Metrics["programs.free."+role]; m.N != count || m.Min <= 0 {
			t.Errorf("unload of %s: %+v", role, m)
		}
	}
	found := strings.Join(tr.Findings, "\n")
	for _, want := range []string{
		`(?m)^stack through fentry: bpf_prog_\w+_mp_tracer < bpf_trampoline_\d+ < bpf_prog_\w+_mp_callee < bpf_prog_\w+_mp_caller < bpf_test_run`,
		`(?m)^stack through freplace: bpf_prog_\w+_mp_tracer_ext < bpf_trampoline_\d+ < bpf_prog_\w+_mp_extension < bpf_prog_\w+_mp_caller < bpf_test_run`,
		`(?m)^stack of a last put through .*: bpf_map_put < __bpf_free_used_maps < bpf_trampoline_\d+ < __bpf_free_used_maps`,
		`(?m)^freplace of a function that is traced: refused \(EBUSY\)$`,
	} {
		if !regexp.MustCompile(want).MatchString(found) {
			t.Errorf("nothing found is %s", want)
		}
	}
	if tr.Puts != 4*count+1 || tr.Freed != tr.Puts || tr.Lost != 0 {
		t.Errorf("%d puts, %d freed, %d lost", tr.Puts, tr.Freed, tr.Lost)
	}
	if t.Failed() {
		t.Log(found, stdout)
	}
}
