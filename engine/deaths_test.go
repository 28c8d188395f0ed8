// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/kernels"
)

func TestCheckDeaths(t *testing.T) {
	for _, c := range []struct {
		name     string
		deaths   uint64
		noDeaths bool
		want     string
	}{
		{"none known", 0, false, ""},
		{"ten million", 10_000_000, false, ""},
		{"as many as may be", 1 << 24, false, ""},
		{"one more", 1<<24 + 1, false, "16777217 deaths are more than a VM may send one by one (at most 16777216; use --no-deaths"},
		{"not kept", math.MaxUint64, true, ""},
	} {
		err := checkDeaths(c.deaths, &trial.Options{NoDeaths: c.noDeaths}, &target.VM{})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// By way of the flags of a workload.
	vm := &target.VM{Images: []kernels.Kernel{{Release: "6.12"}}}
	job := trial.Job{Workload: "churn", Params: map[string]string{"count": "20000000"}, Options: trial.DefaultOptions()}
	err := Fit(vm, job, []string{results.StrategyImmediate})
	var mistake *target.MachineError
	if !errors.As(err, &mistake) || !strings.Contains(err.Error(), "20000000 deaths") {
		t.Errorf("%v", err)
	}
	job.NoDeaths = true
	if err := Fit(vm, job, []string{results.StrategyImmediate}); err != nil {
		t.Error(err)
	}
}
