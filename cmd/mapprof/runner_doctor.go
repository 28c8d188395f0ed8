// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

func diagnoseVM(ctx context.Context, vm target.VM) (diagnosis, error) {
	k := vm.Kernel
	data, err := json.Marshal(job{Doctor: true})
	if err != nil {
		return diagnosis{}, err
	}
	var said []byte
	out, err := vm.Run(ctx, target.Job{
		Args: []string{"guest", guestJobPath}, Files: map[string][]byte{guestJobPath: data},
		Event: func(kind string, payload []byte) {
			if kind == eventDoctor {
				said = bytes.Clone(payload)
			}
		},
	})
	if err != nil {
		return diagnosis{}, err
	}
	if out.ExitCode != 0 {
		return diagnosis{}, fmt.Errorf("examine %s: %s", k.Requested, out.Message)
	}
	if said == nil {
		return diagnosis{}, fmt.Errorf("examine %s: the guest said nothing", k.Requested)
	}
	var d diagnosis
	if err := json.Unmarshal(said, &d); err != nil {
		return diagnosis{}, fmt.Errorf("examine %s: %w", k.Requested, err)
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
