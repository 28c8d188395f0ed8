// SPDX-License-Identifier: Apache-2.0

//go:build linux

package seeds

import (
	"fmt"
	"strings"

	"github.com/mapprof/mapprof/workloads"
)

// parse takes the name apart.
func (s *Scenario) parse() error {
	fields := strings.Fields(s.Name)
	for n := 0; n < len(fields); n++ {
		flag, ok := strings.CutPrefix(fields[n], "--")
		if !ok {
			return fmt.Errorf("scenario %q: %s is no flag", s.Name, fields[n])
		}
		value := "true"
		if n+1 < len(fields) && !strings.HasPrefix(fields[n+1], "--") {
			n++
			value = fields[n]
		}
		switch flag {
		case "workload":
			s.Workload = value
		case "strategy":
			s.Strategies = strings.Split(value, ",")
		default:
			s.Params[flag] = value
		}
	}
	w, _, err := workloads.New(s.Workload, s.Params)
	if err != nil {
		return err
	}
	if modular, ok := w.(workloads.Modular); ok {
		s.Modules = modular.Modules()
	}
	if len(s.Strategies) == 0 {
		s.Strategies = w.Strategies()[:1]
	}
	for _, strategy := range s.Strategies {
		if err := w.Check(strategy); err != nil {
			return fmt.Errorf("scenario %q: %w", s.Name, err)
		}
	}
	return nil
}
