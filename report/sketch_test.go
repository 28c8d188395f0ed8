// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"testing"
)

func TestWriteSketch(t *testing.T) {
	l, err := Load(fixture{kernels: twoKernels, strategies: fourStrategies, deaths: 300}.writeTemp(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		o    Options
	}{{"sketch_100", Options{}}, {"sketch_60", Options{Width: 60}}, {"sketch_color", Options{Width: 80, Color: true}}} {
		var buf bytes.Buffer
		if err := WriteSketch(&buf, l, c.o); err != nil {
			t.Fatal(err)
		}
		checkText(t, buf.String(), c.o.Width, c.o.Color)
		golden(t, c.name, buf.Bytes())
	}
}
