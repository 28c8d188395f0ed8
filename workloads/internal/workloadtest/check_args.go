// SPDX-License-Identifier: Apache-2.0

//go:build linux

package workloadtest

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/workloads"
)

// CheckArgs lets a workload check flags, which are separated by spaces, for a
// strategy. It wants an error with those words, or none where want is empty.
func CheckArgs(t *testing.T, w workloads.Workload, args, strategy, want string) {
	t.Helper()
	fs := pflag.NewFlagSet("workload", pflag.ContinueOnError)
	w.AddFlags(fs)
	if err := fs.Parse(strings.Fields(args)); err != nil {
		t.Fatal(err)
	}
	err := w.Check(strategy)
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%q %s: %v, want %q", args, strategy, err, want)
	}
}
