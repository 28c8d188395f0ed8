// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/mapprof/mapprof/target/guest"
)

var update = flag.Bool("update", false, "rewrite golden files")

// guestTestJob is what this test binary does as a guest's job; tests that
// boot a VM set it.
var guestTestJob func(args []string) int

// TestMain makes the test binary its own guest: as PID 1 of a VM it is the
// init, and as its child the job.
func TestMain(m *testing.M) {
	guest.Init()
	if guest.InJob() && guestTestJob != nil {
		os.Exit(guestTestJob(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run with -update)", err)
	}
	if got != string(want) {
		t.Errorf("%s differs (run with -update if that is right)\n--- got\n%s\n--- want\n%s", path, got, want)
	}
}
