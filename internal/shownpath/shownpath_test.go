// SPDX-License-Identifier: Apache-2.0

package shownpath

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"
)

func TestIn(t *testing.T) {
	_, err := os.Open("/no/such/.run.tmp-1/run.json")
	err = In(errors.Join(fmt.Errorf("write: %w", err), errors.New("close /no/such/.run.tmp-1")), "/no/such/.run.tmp-1", "run")
	if want := "write: open run/run.json: no such file or directory\nclose run"; err.Error() != want {
		t.Errorf("%q, not %q", err, want)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("its cause is lost")
	}
	if err := In(nil, "a", "b"); err != nil {
		t.Error(err)
	}
	if err := In(errors.New("as it is"), "", "b"); err.Error() != "as it is" {
		t.Errorf("no path was replaced by one: %q", err)
	}
}
