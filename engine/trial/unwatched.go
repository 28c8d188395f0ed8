// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/workloads"
)

// unwatched runs the workload with no probe attached: what the tracer itself
// costs is the difference to a run with them.
func (t *Trial) unwatched(ctx context.Context, instance workloads.Instance) error {
	t.Outcome = &collect.Outcome{Loss: map[string]uint64{}}
	t.warnings = append(t.warnings, "no probes (--no-probes): operations were timed from user space, deaths were not watched")
	err := t.run(ctx, instance)
	t.Result.LastPuts = 0 // nobody was to see them
	return err
}
