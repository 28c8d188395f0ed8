// SPDX-License-Identifier: Apache-2.0

package results

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
)

// allFields is a death with a value of its own in every field.
func allFields() Death {
	var d Death
	v := reflect.ValueOf(&d).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString(fmt.Sprint("text-", i))
		case reflect.Int, reflect.Int64:
			f.SetInt(int64(1e9) + int64(i))
		case reflect.Pointer, reflect.Bool: // a recording's, which are left to encoding/json
		default:
			f.SetUint(1e9 + uint64(i))
		}
	}
	return d
}

// TestDeathLine: a line that mapprof writes is decoded without encoding/json, and
// with the same result.
func TestDeathLine(t *testing.T) {
	recorded := allFields()
	recorded.Owner, recorded.PutUnseen = &Owner{OuterName: "outer", PinnedBy: []string{"a"}}, true
	line, err := json.Marshal(recorded)
	if err != nil {
		t.Fatal(err)
	}
	var decoded Death
	if err := newDeathLines().decode(line, &decoded); err != nil || !reflect.DeepEqual(decoded, recorded) {
		t.Errorf("a recording's: %+v, %v", decoded, err)
	}
	for _, want := range []Death{sampleDeaths()[0], {}, allFields()} {
		line, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Death
		if !(&plainObject{line: line}).into(&got, newDeathLines()) || got != want {
			t.Errorf("%s: %+v", line, got)
		}
	}
	// What it has to leave to encoding/json.
	for _, line := range []string{
		``, `{}`, `{"s":"a"`, `{"s":"a"}x`, `{"s":"a",}`, ` {"s":"a"}`, `{"s": "a"}`, `{"s":"\u003c"}`, "{\"s\":\"é\"}", `{"s":null}`, `{"S":"a"}`, `{"s":1}`,
		`{"t":01}`, `{"t":-}`, `{"t":1.5}`, `{"t":1e3}`, `{"t":"1"}`, `{"put_ns":9999999999999999999}`, `{"map_id":4294967296}`, `{"map_id":-1}`, `{"mem_bytes":-1}`, `{"unknown":1}`,
	} {
		var d Death
		if (&plainObject{line: []byte(line)}).into(&d, newDeathLines()) {
			t.Errorf("%s: %+v", line, d)
		}
	}
}

// FuzzDeathLine: whatever a line holds, it is what encoding/json makes of it.
func FuzzDeathLine(f *testing.F) {
	line, err := json.Marshal(allFields())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add([]byte(`{"s":"a","s":"b","t":-0,"put_ns":999999999999999999,"key_size":4294967295}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var got, want Death
		lines := newDeathLines()
		goterr, wanterr := lines.decode(line, &got), json.Unmarshal(line, &want)
		if (goterr == nil) != (wanterr == nil) || goterr == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v; not %+v, %v", line, got, goterr, want, wanterr)
		}
	})
}

// TestDeathsTakeNoMemory: reading deaths, and writing them again, takes none for
// each of them.
func TestDeathsTakeNoMemory(t *testing.T) {
	const n = 20_000
	var file bytes.Buffer
	w, err := NewDeathsWriter(&file)
	if err != nil {
		t.Fatal(err)
	}
	d := sampleDeaths()[0]
	for i := range n {
		d.MapID = uint32(i)
		if err := w.Death(&d); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w, err = NewDeathsWriter(io.Discard); err != nil {
		t.Fatal(err)
	}
	var read int
	allocations := testing.AllocsPerRun(1, func() {
		if err := DecodeDeaths(bytes.NewReader(file.Bytes()), func(d *Death) error { read++; return w.Death(d) }); err != nil {
			t.Error(err)
		}
	})
	if read != 2*n || allocations > 1000 {
		t.Errorf("%d deaths were read, with %.0f allocations in %d", read, allocations, n)
	}
	many := newDeathLines()
	for i := range 10 * maxTexts {
		if err := many.decode(fmt.Appendf(nil, `{"s":"%s%d"}`, strings.Repeat("a", 100), i), &d); err != nil || !strings.HasSuffix(d.Scenario, fmt.Sprint("a", i)) {
			t.Fatal(d.Scenario, err)
		}
	}
	if len(many.texts) > maxTexts {
		t.Errorf("%d texts are kept", len(many.texts))
	}
}
