// SPDX-License-Identifier: Apache-2.0

package results

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"testing"
)

// Parts that were written one after the other are one deaths file.
func TestDeathsWriterInParts(t *testing.T) {
	var whole bytes.Buffer
	w, err := NewDeathsWriter(&whole)
	if err != nil {
		t.Fatal(err)
	}
	var want []Death
	for part := range 3 {
		if part > 0 {
			w.Reset(&whole)
		}
		for i := range 5 * part { // the first is empty
			d := Death{Scenario: "s<&>", MapID: uint32(10*part + i), PutNS: int64(i), FreeNS: int64(i) + 2, FreedNS: int64(i) + 3}
			want = append(want, d)
			if err := w.Death(&d); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		var got []Death
		if err := DecodeDeaths(bytes.NewReader(whole.Bytes()), func(d *Death) error { got = append(got, *d); return nil }); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("after part %d: %v, %v", part, got, err)
		}
		sum := sha256.Sum256(whole.Bytes())
		if f := w.File(); f != (File{Bytes: int64(whole.Len()), SHA256: hex.EncodeToString(sum[:]), Count: uint64(len(want))}) {
			t.Errorf("after part %d: %+v", part, f)
		}
	}
}
