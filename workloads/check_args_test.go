// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// checkArgs lets a workload check flags, which are separated by spaces, for a
// strategy. It wants an error with those words, or none where want is empty.
func checkArgs(t *testing.T, w Workload, args, strategy, want string) {
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
