// SPDX-License-Identifier: Apache-2.0

//go:build vm

package engine

import (
	"testing"

	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/target"
)

// TestVMIsolatedCPUs: CPUs that the kernel keeps tasks from are the machine's all
// the same.
func TestVMIsolatedCPUs(t *testing.T) {
	vm := vmtest.VM(t, "6.12", func(m *target.Machine) { m.CPUs, m.Append = 4, []string{"isolcpus=2,3"} })
	d, err := Diagnose(t.Context(), vm, 0)
	if err != nil {
		t.Fatal(err)
	}
	if d.Target.CPUs != 4 || d.Target.CPUsAllowed != 2 {
		t.Errorf("%d CPUs, %d of them allowed, not 4 and 2", d.Target.CPUs, d.Target.CPUsAllowed)
	}
}
