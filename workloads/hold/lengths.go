// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hold

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mapprof/mapprof/results"
)

// The longest that a reader may be held. A busy one stops a CPU: the kernel
// complains after 20 s.
var maxLength = map[string]time.Duration{results.StrategyRCU: 5 * time.Second, results.StrategyTasksTrace: time.Minute}

// Parse reads the value of --hold-reader: the holds, which take turns; none
// where it is empty. kind is the strategy whose reader it is.
func Parse(text string) (kind string, lengths []time.Duration, err error) {
	if text == "" {
		return "", nil, nil
	}
	kind, list, ok := strings.Cut(text, "=")
	if _, known := maxLength[kind]; !ok || !known {
		return "", nil, fmt.Errorf("--hold-reader %q is not of the form tasks-trace=200ms or rcu=20ms", text)
	}
	for value := range strings.SplitSeq(list, ",") {
		length, err := time.ParseDuration(value)
		if err != nil || length != 0 && length < time.Millisecond || length > maxLength[kind] {
			return "", nil, fmt.Errorf("--hold-reader %s: %q is not a time from 1ms to %v, or 0s for none", kind, value, maxLength[kind])
		}
		lengths = append(lengths, length)
	}
	if slices.Max(lengths) == 0 {
		return "", nil, fmt.Errorf("--hold-reader %s=%s holds none", kind, list)
	}
	return kind, lengths, nil
}
