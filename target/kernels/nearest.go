// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"fmt"
	"math"
	"regexp"
	"strings"
)

var seriesLike = regexp.MustCompile(`^[^0-9./]*(\d{1,3})\.(\d{1,4})\b`)

// nearestSeries asks whether a series was meant that there is: the one that is in what
// was asked for, the one with its digits, or else that of the same major version that is
// the next to it. Empty: none.
func nearestSeries(requested string, known []string) string {
	best, least := "", math.MaxInt
	var major, minor int
	m := seriesLike.FindStringSubmatch(requested)
	if m != nil {
		fmt.Sscan(m[1], &major)
		fmt.Sscan(m[2], &minor)
	}
	for _, k := range known {
		var kmajor, kminor int
		if n, _ := fmt.Sscanf(k, "%d.%d", &kmajor, &kminor); n != 2 {
			continue
		}
		far := kminor - minor
		if far < 0 {
			far = -far
		}
		switch {
		case strings.ReplaceAll(k, ".", "") == requested:
			far = 0
		case m == nil || kmajor != major:
			continue
		}
		if far < least {
			best, least = k, far
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean " + best + "? "
}
