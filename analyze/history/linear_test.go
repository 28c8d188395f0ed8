// SPDX-License-Identifier: Apache-2.0

package history

import (
	"fmt"
	"testing"
)

// TestOfInputsLinear: four times as many scenarios are put in order with four times as
// many allocations: what is quadratic makes sixteen times as many.
func TestOfInputsLinear(t *testing.T) {
	allocs := func(n int) float64 {
		in := nightly(3, 0)
		for _, of := range in {
			one := of.Run.Scenarios[0]
			of.Run.Scenarios = nil
			for i := range n {
				one.ID = fmt.Sprint(i)
				one.Params = map[string]string{"count": one.ID}
				of.Run.Scenarios = append(of.Run.Scenarios, one)
			}
		}
		return testing.AllocsPerRun(1, func() {
			h, err := OfInputs(in, Options{})
			if err != nil || len(h.Scenarios) != n {
				t.Fatalf("%v: %d scenarios of %d", err, len(h.Scenarios), n)
			}
		})
	}
	if few, many := allocs(100), allocs(400); many > 5*few {
		t.Errorf("100 scenarios make %.0f allocations, 400 make %.0f", few, many)
	}
}
