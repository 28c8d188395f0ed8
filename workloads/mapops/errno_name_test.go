// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func TestErrnoName(t *testing.T) {
	for _, tt := range []struct {
		err     error
		want    string
		refused bool
	}{
		{unix.Errno(524), "ENOTSUPP", true}, {fmt.Errorf("create: %w", unix.EOPNOTSUPP), "EOPNOTSUPP", true}, {unix.EINVAL, "EINVAL", true},
		{unix.ENOMEM, "ENOMEM", false}, {errors.New("no room"), "", false},
	} {
		if got := ErrnoName(tt.err); got != tt.want || Refused(tt.err) != tt.refused {
			t.Errorf("%v: %q, want %q; refused: %v", tt.err, got, tt.want, Refused(tt.err))
		}
	}
}
