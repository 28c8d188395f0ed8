// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// TestDocumentedRate: the operations of a trial at the rate of docs/ci.md meet all moments
// between two ticks alike. Else the trials' medians are apart, by where each begins.
func TestDocumentedRate(t *testing.T) {
	const operations = 300 // churn's default
	data, err := os.ReadFile(filepath.Join(packageDir, "..", "..", "docs", "ci.md"))
	if err != nil {
		t.Fatal(err)
	}
	// unevenness is the star discrepancy: by how much the share of the operations that
	// begin before some moment of the tick differs from that of the time, at most.
	unevenness := func(rate, hz float64) (most float64) {
		var at []float64
		for i := range operations {
			_, part := math.Modf(float64(i) * hz / rate)
			at = append(at, part)
		}
		slices.Sort(at)
		for i, x := range at {
			most = max(most, math.Abs(float64(i+1)/operations-x), math.Abs(float64(i)/operations-x))
		}
		return most
	}
	if d := unevenness(50, 250); d < 0.9 {
		t.Errorf("50 a second and 250 ticks: %v", d)
	}
	rates := regexp.MustCompile(`--rate[= ]([\d.]+)`).FindAllStringSubmatch(string(data), -1)
	for _, m := range rates {
		rate, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		for _, hz := range []float64{100, 250, 300, 1000} {
			if d := unevenness(rate, hz); d > 0.01 {
				t.Errorf("--rate %v and %v ticks a second: %.4f", rate, hz, d)
			}
		}
	}
	if len(rates) < 5 {
		t.Errorf("docs/ci.md has the rates %q", rates)
	}
}
