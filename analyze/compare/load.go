// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// equalLoad is how far apart the rates of two closed loops may be that are under the
// same load.
const equalLoad = 0.10

// followsLoad tells whether a figure says as much of the load as of the kernel: of how
// many maps are freed at once.
func followsLoad(figure string) bool {
	return figure == FigurePeakBytes || strings.HasPrefix(figure, results.PhaseQueue+"/")
}

// unequalLoads takes back what was claimed of the memory of closed loops that are not
// under the same load, and says so. A faster one has more maps in memory at once.
func (g *Group) unequalLoads() (warnings []string) {
	at := slices.IndexFunc(g.Rows, func(r Row) bool { return r.Metric == FigureOpsPerS })
	if at < 0 {
		return nil
	}
	rate := &g.Rows[at]
	for k := range rate.Cells {
		a, b := rate.Base.Median, rate.Cells[k].Center.Median
		if rate.Base.N == 0 || rate.Cells[k].Center.N == 0 || math.Abs(a-b) <= equalLoad*min(a, b) {
			continue
		}
		for i := range g.Rows {
			// What got worse although there was less to do, or better although there was
			// more, is the kernel's.
			if c := &g.Rows[i].Cells[k]; followsLoad(g.Rows[i].Metric) && c.Delta != nil && *c.Delta*(b-a) > 0 {
				c.Effect = EffectLoad
			}
		}
		warnings = append(warnings, fmt.Sprintf("%s and %s: not under the same load (%.4g and %.4g operations a second, each as fast as it could): no claim is made of what that explains in peak memory and time in queue (give both the same --rate)",
			safetext.Name(g.Sides[0].Label), safetext.Name(g.Sides[k+1].Label), a, b))
	}
	return warnings
}
