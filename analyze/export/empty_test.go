// SPDX-License-Identifier: Apache-2.0

package export

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/results"
)

// TestEmptyExports: what would be an empty file is an error that says what the run
// has instead.
func TestEmptyExports(t *testing.T) {
	write := func(run *results.Run) *results.Dir {
		dir := filepath.Join(t.TempDir(), "run")
		w, err := results.Create(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.KeepDeaths(), w.Finish(run)); err != nil {
			t.Fatal(err)
		}
		d, err := results.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	metrics := map[string]results.Metric{"m": {N: 1, Unit: "ns/op", P50: 1, P90: 1, P99: 1, Min: 1, Max: 1, Mean: 1}}
	lookups := &results.Run{Ended: time.Unix(1795639060, 0), Targets: []results.Target{{}}, Scenarios: []results.Scenario{{ID: "a", Workload: "lookup", Metrics: metrics, Trials: []results.Trial{{Metrics: metrics}}}}}
	nothing := &results.Run{Targets: []results.Target{{}}, Scenarios: []results.Scenario{{ID: "a", Workload: "lookup", Trials: []results.Trial{{}}}}}
	for _, c := range []struct {
		run    *results.Run
		format string
		want   string // empty: it isn't
	}{
		{lookups, "trace", "export trace: this run has no deaths (it has figures of calls, 1 in all"},
		{lookups, "hlog", "this run has no histograms"},
		{lookups, "csv", ""},
		{lookups, "benchfmt", ""},
		{lookups, "openmetrics", ""},
		{lookups, "prometheus", ""},
		{nothing, "trace", "it has no figures either"},
		{nothing, "csv", "export csv: this run has no figures"},
		{nothing, "benchfmt", "export benchfmt: this run has no figures"},
	} {
		f, err := Find(c.format)
		if err != nil {
			t.Fatal(err)
		}
		err = f.Write(write(c.run), io.Discard)
		if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) || errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v, want %q", c.format, err, c.want)
		}
	}
}
