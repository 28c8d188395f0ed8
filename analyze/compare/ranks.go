// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"math"
	"sort"
	"sync"

	"github.com/aclements/go-moremath/stats"
)

// exactPairs is up to how many pairs of trials (one of each side) the
// distribution of the rank sum is computed exactly; beyond, by its normal
// approximation.
const exactPairs = 30 * 30

// rounding is what the sums of a distribution are off by.
const rounding = 1e-9

// differences is how many there are: one for each pair of trials, or of turns.
func (c *Change) differences() int {
	if n := len(c.turns); n > 0 {
		return n * (n + 1) / 2
	}
	return len(c.base) * len(c.other)
}

// upTo counts the differences that are at most the limit.
func (c *Change) upTo(limit float64) int {
	n := 0
	if c.Paired() {
		j := len(c.turns) - 1
		for i, d := range c.turns {
			for j >= i && (d+c.turns[j])/2 > limit {
				j--
			}
			n += max(0, j-i+1)
		}
		return n
	}
	j := 0
	for _, a := range c.base {
		for j < len(c.other) && c.other[j]-a <= limit {
			j++
		}
		n += j
	}
	return n
}

// difference is the kth smallest, from 1: the least number that so many are at
// most.
func (c *Change) difference(k int) float64 {
	lo, hi := ordered(math.Inf(-1)), ordered(math.Inf(1))
	for lo < hi {
		mid := lo>>1 + hi>>1 + lo&hi&1 // rounded down, and no overflow
		if c.upTo(fromOrdered(mid)) >= k {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return fromOrdered(lo)
}

// ordered numbers the floating-point numbers in their order, from which
// fromOrdered gets them back.
func ordered(v float64) int64 {
	if n := int64(math.Float64bits(math.Abs(v))); v < 0 {
		return -n
	} else {
		return n
	}
}

func fromOrdered(n int64) float64 {
	if n < 0 {
		return -math.Float64frombits(uint64(-n))
	}
	return math.Float64frombits(uint64(n))
}

// boundRank is the number of the difference, in order from 1, that is the bound
// at the level alpha; 0: there is none. A gate asks for the same over and over.
func boundRank(n1, n2 int, paired bool, alpha float64) int {
	type key struct {
		n1, n2 int
		paired bool
		alpha  float64
	}
	if k, ok := boundRanks.Load(key{n1, n2, paired, alpha}); ok {
		return k.(int)
	}
	k := sort.Search(n1*n2, func(k int) bool { return tail(n1, n2, paired, k) > alpha+rounding })
	boundRanks.Store(key{n1, n2, paired, alpha}, k)
	return k
}

var boundRanks sync.Map

// tail is the chance that, of equals, at most k of all differences lie on one
// side of none.
func tail(n1, n2 int, paired bool, k int) float64 {
	if paired {
		return signedRankTail(n1, k)
	}
	return rankTail(n1, n2, k)
}

// signedRankTail is the chance that the positive ranks of n pairs add up to k at
// most (Wilcoxon 1945): exact for up to exactTurns, by its normal approximation
// beyond.
func signedRankTail(n, k int) float64 {
	sum := n * (n + 1) / 2
	if n > exactTurns {
		sd := math.Sqrt(float64(sum*(2*n+1)) / 12)
		return stats.StdNormal.CDF((float64(k) + 0.5 - float64(sum)/2) / sd)
	}
	// ways[s] is the share of all signs with which the ranks so far add up to s.
	ways := make([]float64, sum+1)
	ways[0] = 1
	for rank := 1; rank <= n; rank++ {
		for s := sum; s >= 0; s-- {
			ways[s] /= 2
			if s >= rank {
				ways[s] += ways[s-rank] / 2
			}
		}
	}
	p := 0.0
	for _, w := range ways[:min(k, sum)+1] {
		p += w
	}
	return min(1, p)
}

const exactTurns = 50

func rankTail(n1, n2, k int) float64 {
	if n1*n2 <= exactPairs {
		return min(1, stats.UDist{N1: n1, N2: n2}.CDF(float64(k)))
	}
	pairs := float64(n1 * n2)
	sd := math.Sqrt(pairs * float64(n1+n2+1) / 12)
	return stats.StdNormal.CDF((float64(k) + 0.5 - pairs/2) / sd)
}
