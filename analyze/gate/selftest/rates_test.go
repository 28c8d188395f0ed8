// SPDX-License-Identifier: Apache-2.0

package selftest

import (
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/gate"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// readPolicy is a policy by its text.
func readPolicy(t *testing.T, text string) gate.Policy {
	t.Helper()
	p, err := gate.ReadPolicy(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The gate's own claim: over many unchanged pairs (next to) none is called a
// regression, and +1 % is always caught on a clock that repeats to 0.02 %.
func TestGateRates(t *testing.T) {
	p := gate.DefaultPolicy()
	for _, spread := range []float64{0, 0.0001, 0.0002, 0.0005} {
		unchanged := SyntheticRate(300, 3, spread, 0, p, 1)
		planted := SyntheticRate(300, 3, spread, 0.01, p, 2)
		t.Logf("spread %v: unchanged %+v, planted %+v", spread, unchanged, planted)
		// alpha is 1 %: 3 of 300, of which half are improvements.
		if unchanged.Regression > 3 || unchanged.Pairs != 300 {
			t.Errorf("spread %v: %d of %d unchanged pairs are regressions", spread, unchanged.Regression, unchanged.Pairs)
		}
		if spread <= 0.0002 && planted.Regression != 300 {
			t.Errorf("spread %v: %d of %d caught", spread, planted.Regression, planted.Pairs)
		}
		if planted.Pass > 0 {
			t.Errorf("spread %v: %d of %d pass with +1 %%", spread, planted.Pass, planted.Pairs)
		}
	}
	// What hides a change is not a pass: a clock that scatters by 2 %.
	noisy := SyntheticRate(100, 3, 0.02, 0, p, 3)
	if noisy.Pass > 5 || noisy.Regression > 1 {
		t.Errorf("noisy: %+v", noisy)
	}
}

func TestGateRatesOnAWallClock(t *testing.T) {
	p := readPolicy(t, "version: 1\nhost: dedicated\n")
	false_, caught := 0, 0
	for i := range uint64(200) {
		base := compare.Input{Name: "a", Run: synthetic.Seeded(10, 0.03, 1, results.ClockWall, 3*i)}
		if gate.Judge(base, compare.Input{Name: "b", Run: synthetic.Seeded(10, 0.03, 1, results.ClockWall, 3*i+1)}, nil, p).Verdict == gate.VerdictRegression {
			false_++
		}
		if gate.Judge(base, compare.Input{Name: "b", Run: synthetic.Seeded(10, 0.03, 1.2, results.ClockWall, 3*i+2)}, nil, p).Verdict == gate.VerdictRegression {
			caught++
		}
	}
	if false_ > 2 || caught < 195 {
		t.Errorf("%d of 200 unchanged pairs are regressions, %d of 200 slower ones are caught", false_, caught)
	}
}

func TestResampleGateRate(t *testing.T) {
	pool := synthetic.Seeded(8, 0.0001, 1, results.ClockICount, 4)
	pool.Started, pool.Ended = time.Unix(1, 0), time.Unix(2, 0)
	p := gate.DefaultPolicy()
	unchanged, err := ResampledRate(pool, 50, 3, 0, p, 1)
	if err != nil || unchanged.Pass != 50 || unchanged.Hits() != 50 {
		t.Errorf("%+v %v", unchanged, err)
	}
	planted, err := ResampledRate(pool, 50, 3, 0.01, p, 1)
	if err != nil || planted.Regression != 50 || planted.Hits() != 50 {
		t.Errorf("%+v %v", planted, err)
	}
	if !strings.HasSuffix(unchanged.Note, "drawn from 8 real ones, 8 of them different") {
		t.Error(unchanged.Note)
	}
	// Trials that are copies of each other are said to be.
	copies := synthetic.Seeded(8, 0, 1, results.ClockICount, 4)
	if same, err := ResampledRate(copies, 5, 3, 0, p, 1); err != nil || !strings.HasSuffix(same.Note, ", 1 of them different") {
		t.Errorf("%+v %v", same, err)
	}
	v := gate.Judge(compare.Input{Name: "a", Run: copies}, compare.Input{Name: "b", Run: synthetic.Seeded(3, 0.0001, 1, results.ClockICount, 5)}, nil, p)
	if !strings.Contains(strings.Join(v.Notes, "\n"), "a: of 8 trials of synthetic only 1 differ") || strings.Contains(strings.Join(v.Notes, "\n"), "b: of") {
		t.Errorf("%q", v.Notes)
	}
	if _, err := ResampledRate(pool, 50, 5, 0, p, 1); err == nil {
		t.Error("8 trials make pairs of 5 against 5")
	}
}

// TestLeastSeen: what must be shown follows from the policy's limits and from how figures
// scatter, and is seen.
func TestLeastSeen(t *testing.T) {
	const trials = 3
	wide := "version: 1\nrules:\n- {metrics: [\"**\"], relative: 3%, action: block}\n"
	for _, c := range []struct {
		spread, from, to float64
		policy           gate.Policy
	}{
		{0.0001, 0.01, 0.0101, gate.DefaultPolicy()},
		{0.0001, 0.06, 0.0601, readPolicy(t, wide)},
		{0.002, 0.011, 0.04, gate.DefaultPolicy()},
	} {
		pool := synthetic.Seeded(2*trials, c.spread, 1, results.ClockICount, 1)
		least := LeastSeen(pool, trials, c.policy, 1)
		if least < c.from-1e-9 || least > c.to {
			t.Errorf("scattering by %g %g, want %g to %g", c.spread, least, c.from, c.to)
		}
		if r, err := ResampledRate(pool, 50, trials, least, c.policy, 2); err != nil || r.Regression != 50 {
			t.Errorf("scattering by %g, a change of %g: %+v, %v", c.spread, least, r, err)
		}
	}
	none := strings.Replace(wide, "block", "advise", 1)
	if got := LeastSeen(synthetic.Seeded(2*trials, 0, 1, results.ClockICount, 1), trials, readPolicy(t, none), 1); got != 0 {
		t.Errorf("without a limit that blocks %g", got)
	}
}

// TestPerturbedEqual: of values that are all alike the mean stays within its bounds, where
// a factor would round the greatest down.
func TestPerturbedEqual(t *testing.T) {
	one := results.Stats{N: 3, P50NS: 7, P90NS: 7, P99NS: 7, MinNS: 7, MaxNS: 7, MeanNS: 7, SumNS: 21}
	trial := perturbed(results.Trial{Phases: map[string]results.Stats{results.PhaseFree: one}}, 1.06)
	if s := trial.Phases[results.PhaseFree]; s.MeanNS > float64(s.MaxNS) || s.MeanNS < float64(s.MinNS) {
		t.Errorf("%+v", s)
	}
}
