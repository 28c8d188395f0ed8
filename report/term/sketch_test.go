// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/mapprof/mapprof/internal/golden"
	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/report/model"
)

func TestWriteSketch(t *testing.T) {
	l, err := model.Load(fixture.Churn{Kernels: fixture.TwoKernels, Strategies: fixture.FourStrategies, Deaths: 300}.WriteTemp(t))
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
		fixture.CheckText(t, buf.String(), c.o.Width, c.o.Color)
		golden.Check(t, filepath.Join("testdata", c.name+".golden"), buf.String())
	}
}
