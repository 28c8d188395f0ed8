// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"io"
	"testing"
)

// memory is a window of some bytes.
type memory []byte

func (m memory) WriteAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > int64(len(m)) {
		return 0, io.ErrShortWrite
	}
	return copy(m[off:], p), nil
}

func TestParcel(t *testing.T) {
	m := make(memory, WindowBytes)
	if _, err := ReadParcel(m); err == nil {
		t.Error("there is a parcel before one was left")
	}
	for _, parcel := range [][]byte{{7}, bytes.Repeat([]byte("parcel"), 1000), make([]byte, MaxParcel)} {
		if err := WriteParcel(m, parcel); err != nil {
			t.Fatal(err)
		}
		got, err := ReadParcel(m)
		if err != nil || !bytes.Equal(got, parcel) {
			t.Errorf("%d bytes: %d came, %v", len(parcel), len(got), err)
		}
		m[parcelHeader] ^= 1
		if _, err := ReadParcel(m); err == nil {
			t.Error("a broken parcel is taken")
		}
	}
	for _, bad := range []int{0, MaxParcel + 1} {
		if err := WriteParcel(m, make([]byte, bad)); err == nil {
			t.Errorf("a parcel of %d bytes is left", bad)
		}
	}
	m[3] = 0xff // a length beyond the window
	if _, err := ReadParcel(m); err == nil {
		t.Error("a parcel of 4 GiB is taken")
	}
	if _, err := ReadParcel(m[:4]); err == nil {
		t.Error("a parcel is taken from half a header")
	}
	if err := WriteParcel(m[:100], make([]byte, 200)); err == nil {
		t.Error("no error of a window that can't be written")
	}
}
