// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

func DiagnoseVM(ctx context.Context, vm target.VM) (trial.Diagnosis, error) {
	k := vm.Kernel
	data, err := json.Marshal(trial.Job{Doctor: true})
	if err != nil {
		return trial.Diagnosis{}, err
	}
	var said []byte
	out, err := vm.Run(ctx, target.Job{
		Args: []string{"guest", trial.GuestJobPath}, Files: map[string][]byte{trial.GuestJobPath: data},
		Event: func(kind string, payload []byte) {
			if kind == trial.EventDoctor {
				said = bytes.Clone(payload)
			}
		},
	})
	if err != nil {
		return trial.Diagnosis{}, err
	}
	if out.ExitCode != 0 {
		return trial.Diagnosis{}, fmt.Errorf("examine %s: %s", k.Requested, out.Message)
	}
	if said == nil {
		return trial.Diagnosis{}, fmt.Errorf("examine %s: the guest said nothing", k.Requested)
	}
	var d trial.Diagnosis
	if err := json.Unmarshal(said, &d); err != nil {
		return trial.Diagnosis{}, fmt.Errorf("examine %s: %w", k.Requested, err)
	}
	describeVM(&d.Target, k, out)
	d.Warnings = out.Warnings
	if out.AccelReason != "" {
		d.Warnings = append(d.Warnings, out.AccelReason)
	}
	return d, nil
}

// describeVM adds to a guest's own description what only its host knows. How
// many CPUs there are, the guest knows better: its kernel may use fewer.
func describeVM(t *results.Target, k target.Kernel, out target.Outcome) {
	t.Kind, t.Accel, t.Clock, t.QEMU = "vm", out.Accel, out.Clock, out.QEMU
	t.MemoryBytes = out.MemoryBytes
	t.Kernel.Requested, t.Kernel.SHA256 = k.Requested, k.SHA256
}
