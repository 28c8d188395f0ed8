// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lookup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/workloads/mapops"
)

// What mapprof gate --self-test plants into lookups, and must find again: a
// slowdown of known size. As in churn the parameter is a string, empty and not
// shown without an injection, and its flag is hidden.

// addInjectFlags registers it.
func (l *Workload) addInjectFlags(fs *pflag.FlagSet) {
	fs.StringVar(&l.InjectInstructions, "inject-instructions", "", "instructions more in every lookup, by path: syscall=20.8,helper=0.2; for gate --self-test")
	_ = fs.MarkHidden("inject-instructions") // it exists
}

// maxInjected bounds the instructions that are added to a lookup.
const maxInjected = 1000

// injectedPaths can be made longer.
var injectedPaths = []string{mapops.PathSyscall, mapops.PathHelper, mapops.PathInlined}

// injected is how many instructions more a lookup by a path takes.
func (l *Workload) injected(path string) (float64, error) {
	if l.InjectInstructions == "" {
		return 0, nil
	}
	found := 0.0
	for part := range strings.SplitSeq(l.InjectInstructions, ",") {
		name, value, _ := strings.Cut(part, "=")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil || !(n >= 0 && n <= maxInjected) || !slices.Contains(injectedPaths, name) {
			return 0, fmt.Errorf("--inject-instructions: %q is not PATH=NUMBER, with a path of %s and up to %d instructions",
				part, strings.Join(injectedPaths, ", "), maxInjected)
		}
		if name == path {
			found = n
		}
	}
	return found, nil
}
