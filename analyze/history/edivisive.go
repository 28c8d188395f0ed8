// SPDX-License-Identifier: Apache-2.0

package history

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mapprof/mapprof/internal/median"
)

// The test of a change point.
const (
	// Alpha is the chance that a series without a change has a point.
	Alpha = 0.005
	// permutations are enough that the smallest p is a fifth of Alpha.
	permutations = 999
	// MinLevel is how many runs a level lasts at least: fewer are an outlier.
	MinLevel = 3
	// MinRuns is how many runs a series must have. Below it, even two levels
	// that are fully apart come about by chance more often than Alpha.
	MinRuns = 12
)

// split is a place where a level changes: values[at] is the first of the new one.
type split struct {
	at int
	q  float64 // size of the change, as energySplit has it
	p  float64
}

// splits finds where the level of values changes, in their order, by E-divisive
// means (Matteson and James 2014): the place with the most unlike values before and
// after it by the energy distance, the values permuted to see how often chance
// alone does as well, and again within the segments until chance does. So p
// is exact without a word on how values scatter. Apache Otava asks a t-test instead,
// which is faster, but knows nothing of the place having been chosen.
// Equal values give equal splits.
func splits(values []float64) []split {
	if len(values) < MinRuns {
		return nil
	}
	// Near zero the sums of distances lose nothing to rounding.
	centered, center := slices.Clone(values), median.Of(values)
	for i := range centered {
		centered[i] -= center
	}
	random := rand.New(rand.NewPCG(uint64(len(values)), 1))
	var found []split
	for {
		bounds := boundsOf(found, len(values))
		best := bestSplit(centered, bounds)
		if best.q <= 0 {
			return found
		}
		if best.p = permutationP(centered, bounds, best.q, random); best.p > Alpha {
			return found
		}
		found = append(found, best)
		slices.SortFunc(found, func(a, b split) int { return a.at - b.at })
	}
}

// boundsOf are the ends of segments, 0 and n among them.
func boundsOf(found []split, n int) []int {
	bounds := []int{0}
	for _, s := range found {
		bounds = append(bounds, s.at)
	}
	return append(bounds, n)
}

// bestSplit is the best one of all segments.
func bestSplit(values []float64, bounds []int) split {
	var best split
	for i := range bounds[1:] {
		from, to := bounds[i], bounds[i+1]
		if at, q := energySplit(values[from:to]); q > best.q {
			best = split{at: from + at, q: q}
		}
	}
	return best
}

// permutationP is how often values in another order, each in its segment, have a
// split as good as q. It stops where the answer can only be more than Alpha.
func permutationP(values []float64, bounds []int, q float64, random *rand.Rand) float64 {
	const rounding = 1e-9 // equal orders aren't summed in equal order
	shuffled := slices.Clone(values)
	asGood := 0
	for n := 1; n <= permutations; n++ {
		for i := range bounds[1:] {
			part := shuffled[bounds[i]:bounds[i+1]]
			random.Shuffle(len(part), func(a, b int) { part[a], part[b] = part[b], part[a] })
		}
		if bestSplit(shuffled, bounds).q >= q*(1-rounding) {
			asGood++
		}
		if p := float64(asGood+1) / (permutations + 1); p > Alpha {
			return p
		}
	}
	return float64(asGood+1) / (permutations + 1)
}

// energySplit is where values change most: where n of them and the m that follow
// have the greatest nm/(n+m) times energy distance 2E|X−Y| − E|X−X′| − E|Y−Y′|. What
// follows need not reach to the end, or a change that is taken back would hide
// itself. A q of 0: they are too few, or all the same.
func energySplit(values []float64) (at int, q float64) {
	// Sums of |x−y| over all pairs of values[:i], and of values[i:end].
	before, after := make([]float64, len(values)+1), make([]float64, len(values))
	for end := 1; end <= len(values); end++ {
		last, distances := values[end-1], 0.0
		for i := end - 2; i >= 0; i-- {
			distances += math.Abs(values[i] - last)
			after[i] += distances
		}
		before[end] = after[0]
		for i := MinLevel; i <= end-MinLevel; i++ {
			n, m := float64(i), float64(end-i)
			between := before[end] - before[i] - after[i]
			distance := 2*between/(n*m) - 2*before[i]/(n*(n-1)) - 2*after[i]/(m*(m-1))
			if e := distance * n * m / (n + m); e > q {
				at, q = i, e
			}
		}
	}
	return at, q
}
