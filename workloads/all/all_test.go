// SPDX-License-Identifier: Apache-2.0

//go:build linux

package all

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/workloads"
)

func TestFind(t *testing.T) {
	var unknown *workloads.UnknownError
	if _, err := workloads.Find("chrun"); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "churn") {
		t.Errorf("Find: %v", err)
	}
	for _, d := range workloads.All() {
		if d.Summary == "" || d.New == nil {
			t.Errorf("workload %q is not described", d.Name)
		}
		for _, s := range d.New().Strategies() {
			w := d.New()
			w.AddFlags(pflag.NewFlagSet(d.Name, pflag.ContinueOnError))
			if err := w.Check(s); err != nil {
				t.Errorf("%s with its defaults and strategy %s: %v", d.Name, s, err)
			}
		}
	}
}

// TestParams: what a workload's parameters print, they parse, and those that
// are not given are not taken for given.
func TestParams(t *testing.T) {
	for _, d := range workloads.All() {
		_, fs, err := workloads.New(d.Name, nil)
		if err != nil {
			t.Fatal(err)
		}
		params := workloads.Params(fs)
		if len(params) == 0 {
			t.Errorf("%s has no parameters", d.Name)
		}
		for name, value := range params {
			_, again, err := workloads.New(d.Name, map[string]string{name: value})
			if err != nil {
				t.Errorf("%s --%s=%s: %v", d.Name, name, value, err)
				continue
			}
			if got := workloads.Params(again); !maps.Equal(got, params) {
				t.Errorf("%s --%s=%s: %v, want %v", d.Name, name, value, got, params)
			}
			again.VisitAll(func(f *pflag.Flag) {
				if f.Changed != (f.Name == name) {
					t.Errorf("%s --%s=%s: --%s changed: %v", d.Name, name, value, f.Name, f.Changed)
				}
			})
		}
	}
	for params, want := range map[string]string{
		"colour=red": "no such flag -colour",
		"count=many": "invalid argument",
	} {
		name, value, _ := strings.Cut(params, "=")
		if _, _, err := workloads.New("churn", map[string]string{name: value}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", params, err)
		}
	}
}
