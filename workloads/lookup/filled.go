// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lookup

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/workloads/mapops"
)

// filledShare is what --filled says: the share of the elements that are in the map.
// Left out it is all. The parameter is a string, so that it is not shown then.
func (l *Workload) filledShare() (float64, error) {
	if l.Filled == "" {
		return 1, nil
	}
	text, percent := strings.CutSuffix(l.Filled, "%")
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !percent || !(n > 0 && n <= 100) {
		return 0, fmt.Errorf("--filled %q is not a share of the elements, above 0%% and up to 100%%", l.Filled)
	}
	return n / 100, nil
}

// checkFilled refuses it where every element is there from the beginning.
func (l *Workload) checkFilled() error {
	if _, err := l.filledShare(); err != nil {
		return err
	}
	if l.Filled != "" && l.Map != mapops.MapHash && l.Map != mapops.MapLRUHash {
		return fmt.Errorf("--filled needs --map %s or %s (an array has all its elements)", mapops.MapHash, mapops.MapLRUHash)
	}
	return nil
}

// filled is how many elements are in the map, after Check: at least one.
func (l *Workload) filled() uint32 {
	share, _ := l.filledShare()
	return max(1, uint32(float64(l.entries())*share))
}
