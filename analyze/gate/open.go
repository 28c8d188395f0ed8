// SPDX-License-Identifier: Apache-2.0

package gate

import "github.com/mapprof/mapprof/analyze/compare"

// JudgeRuns opens the runs and gates them. A run that can't be read is missing
// data like any other: inconclusive, with what is wrong with which file.
func JudgeRuns(baseline, candidate, confirm string, policy Policy) *Verdict {
	paths := []string{baseline, candidate}
	if confirm != "" {
		paths = append(paths, confirm)
	}
	var inputs []compare.Input
	var reasons []string
	for _, p := range paths {
		_, in, err := compare.Open([]string{p})
		if err != nil {
			reasons = append(reasons, err.Error())
			continue
		}
		in[0].Name = p
		inputs = append(inputs, in[0])
	}
	if len(reasons) > 0 {
		return Inconclusive(baseline, candidate, reasons...)
	}
	var again *compare.Input
	if confirm != "" {
		again = &inputs[2]
	}
	return Judge(inputs[0], inputs[1], again, policy)
}
