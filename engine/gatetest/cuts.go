// SPDX-License-Identifier: Apache-2.0

package gatetest

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/gate"
	"github.com/mapprof/mapprof/analyze/gate/selftest"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// cutPlaces is at how many places run.json is cut off.
const cutPlaces = 20

// incompleteRuns takes things from a good run, first bytes, then what leaves a valid
// run.json; whatever is missing must not pass.
func (s *SelfTest) incompleteRuns() ([]selftest.Rate, error) {
	run, err := s.whole()
	if err != nil {
		return nil, err
	}
	run.Files = map[string]results.File{} // copies are of run.json alone
	data, err := json.Marshal(run)
	if err != nil {
		return nil, err
	}
	kinds, err := selftest.CutsOf(data, s.Policy)
	if err != nil {
		return nil, err
	}
	whole, cut := filepath.Join(s.Dir, "whole"), filepath.Join(s.Dir, "cut")
	for _, dir := range []string{whole, cut} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
	}
	if err := os.WriteFile(filepath.Join(whole, results.RunFile), data, 0o644); err != nil {
		return nil, err
	}
	bytes := selftest.Rate{Kind: "run.json cut off", Source: selftest.SourceCut, Want: gate.VerdictInconclusive, Note: "at as many places; of the candidate"}
	for i := range cutPlaces {
		if err := os.WriteFile(filepath.Join(cut, results.RunFile), data[:len(data)*i/cutPlaces], 0o644); err != nil {
			return nil, err
		}
		bytes.Count(gate.JudgeRuns(whole, cut, "", s.Policy))
	}
	rates := []selftest.Rate{bytes}
	for _, k := range kinds {
		rate := selftest.Rate{Kind: k.Kind, Source: selftest.SourceCut, Want: k.Want, Note: k.Note}
		for _, c := range k.Cuts {
			left, err := json.Marshal(c.Run)
			if err != nil {
				return rates, err
			}
			if err := os.WriteFile(filepath.Join(cut, results.RunFile), left, 0o644); err != nil {
				return rates, err
			}
			verdicts := []*gate.Verdict{gate.JudgeRuns(whole, cut, "", s.Policy)}
			if k.BothSides {
				verdicts = append(verdicts, gate.JudgeRuns(cut, whole, "", s.Policy))
			}
			for _, v := range verdicts {
				rate.Count(v)
				if v.Verdict == k.Want {
					continue
				}
				s.OnWrongVerdict(k.Kind+", "+c.What, v)
			}
		}
		rates = append(rates, rate)
	}
	return rates, nil
}

// whole is the first good run of each workload in one, or with --no-vm one
// that is made up: two scenarios, so that one of them can be missed.
func (s *SelfTest) whole() (*results.Run, error) {
	var run *results.Run
	add := func(part *results.Run) error {
		if run == nil {
			run = part
			return nil
		}
		return analyze.Merge(run, part)
	}
	if s.Run == nil {
		r := rand.New(rand.NewPCG(4, 0x637574))
		for _, w := range selfTestWorkloads {
			part := synthetic.Run(s.Trials, syntheticSpread, 1, results.ClockICount, r)
			part.Scenarios[0].ID, part.Scenarios[0].Workload = w.name, w.name
			if err := add(part); err != nil {
				return nil, err
			}
		}
		return run, nil
	}
	for _, w := range selfTestWorkloads {
		if s.first[w.name] == "" {
			continue
		}
		d, err := results.Open(s.first[w.name])
		if err != nil {
			return nil, err
		}
		if err := add(d.Run); err != nil {
			return nil, err
		}
	}
	return run, nil
}
