// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lookup

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/internal/workloadtest"
)

// TestCheckIndexes: each kind of wrong answer is told, with its range.
func TestCheckIndexes(t *testing.T) {
	for _, tt := range []struct {
		name    string
		entries uint32
		look    func(uint32) (answer, error)
		want    string
	}{
		{"right", 4, func(n uint32) (answer, error) { return answer{n < 4, stampOf(n)}, nil }, ""},
		{"past the end", 4, func(n uint32) (answer, error) { return answer{n < 64, stampOf(n)}, nil },
			"60 indexes are past the map's end and found, from 4 to 63"},
		{"too few", 90, func(n uint32) (answer, error) { return answer{n < 64, stampOf(n)}, nil },
			"26 indexes are in the map and not found, from 64 to 89"},
		{"all the first", 4, func(n uint32) (answer, error) { return answer{n < 4, stampOf(0)}, nil },
			"3 indexes are answered with another element, from 1 to 3"},
	} {
		if got, err := checkIndexes(tt.entries, 99, tt.look); got != tt.want || err != nil {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
	if _, err := checkIndexes(1, 1, func(uint32) (answer, error) { return answer{}, unix.EFAULT }); !errors.Is(err, unix.EFAULT) {
		t.Error(err)
	}
}

// TestInnerVariants: every kind in three sizes, of which none is the template's.
func TestInnerVariants(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range innerVariants(2) {
		if seen[v.name] = true; v.smaller >= v.template || v.large != 0 && v.large <= v.template {
			t.Errorf("%s: %d, %d and %d entries", v.name, v.smaller, v.template, v.large)
		}
		if spec := v.spec(v.smaller); spec.Type == ebpf.Array && (spec.Flags != 0) != strings.Contains(v.name, "BPF_F") {
			t.Errorf("%s has flags %#x", v.name, spec.Flags)
		}
	}
	for _, name := range []string{"array", "array with BPF_F_INNER_MAP", "percpu-array", "hash-noprealloc", "cpumap", "ringbuf"} {
		if !seen[name] {
			t.Errorf("no %s among %d", name, len(seen))
		}
	}
}

// TestNotRefused: too little memory is no answer about a type.
func TestNotRefused(t *testing.T) {
	for err, refused := range map[error]bool{unix.EINVAL: true, unix.Errno(524): true, unix.ENOMEM: false, unix.EPERM: false, errors.New("x"): false, nil: true} {
		if got := notRefused(err); (got == nil) != refused {
			t.Errorf("%v: %v", err, got)
		}
	}
	if got := errnoOf(unix.Errno(524)) + errnoOf(unix.EINVAL); got != " (ENOTSUPP) (EINVAL)" {
		t.Error(got)
	}
}

// TestInnerEntriesDifferShown: a result has the parameter only where it was given.
func TestInnerEntriesDifferShown(t *testing.T) {
	for _, given := range []bool{false, true} {
		params := map[string]string{}
		if given {
			params["inner-entries-differ"] = "true"
		}
		w, fs, err := workloads.New("lookup", params)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := workloads.Params(fs)["inner-entries-differ"]; ok != given {
			t.Errorf("given %t, shown %t", given, ok)
		}
		_ = w
	}
	workloadtest.CheckArgs(t, new(Workload), "--inner-entries-differ", results.StrategyNone, "")
}
