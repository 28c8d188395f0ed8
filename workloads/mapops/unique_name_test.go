// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"strings"
	"testing"
)

func TestUniqueNamesFitAndDiffer(t *testing.T) {
	a, b := UniqueName("mp_inner"), UniqueName("mp_inner")
	if a == b || len(a) > 15 || !strings.HasPrefix(a, "mp_inner") {
		t.Errorf("%q and %q", a, b)
	}
}
