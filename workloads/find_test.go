// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"errors"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestFind(t *testing.T) {
	var unknown *UnknownError
	if _, err := Find("chrun"); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "churn") {
		t.Errorf("Find: %v", err)
	}
	for _, d := range All() {
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
