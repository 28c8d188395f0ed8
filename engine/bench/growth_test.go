// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestGrowthRow(t *testing.T) {
	for _, c := range []struct {
		cost  []float64
		limit float64
		text  string
		wrong string
	}{
		{[]float64{2, 2.5, 3}, 2, "| slots: 1 → 16 → 256 | a death | 2.00 → 2.50 → 3.00 ns | 1.50 | 2 |\n", ""},
		{[]float64{20.04, 204.4, 2044}, 2, "| slots: 1 → 16 → 256 | a death | 20.0 → 204 → 2044 ns | 102.00 | 2 |\n", "slots: a death: the last costs 102.00 times what the first does, more than 2"},
		{[]float64{1, 2, 100}, 0, "| slots: 1 → 16 → 256 | a death | 1.00 → 2.00 → 100 ns | 100.00 | – |\n", ""},
		{[]float64{0, 0, 0}, 2, "| slots: 1 → 16 → 256 | a death | 0.00 → 0.00 → 0.00 ns | NaN | 2 |\n", "slots: a death: the last costs NaN times what the first does, more than 2"},
	} {
		r := growthRow{what: "a death", sizes: []uint{1, 16, 256}, cost: c.cost, unit: "ns", limit: c.limit}
		if got := r.text("slots"); got != c.text {
			t.Errorf("%q, want %q", got, c.text)
		}
		got := ""
		if err := r.check("slots"); err != nil {
			got = err.Error()
		}
		if got != c.wrong {
			t.Errorf("%v: %q, want %q", c.cost, got, c.wrong)
		}
	}
}

// TestDrawnAndNot: no step is from charts to tables, and every size is on one side.
func TestDrawnAndNot(t *testing.T) {
	for _, c := range []struct{ sizes, drawn, not []uint }{
		{[]uint{10, 100, 1000, 10_000}, []uint{10, 100, 500}, []uint{501, 1000, 10_000}},
		{[]uint{10, 100, 500, 1000}, []uint{10, 100, 500}, nil},
		{[]uint{20, 60, 200}, []uint{20, 60, 200}, nil},
		{[]uint{501, 2000, 10_000}, nil, []uint{501, 2000, 10_000}},
		{[]uint{600, 2000, 10_000}, nil, []uint{501, 600, 2000, 10_000}},
	} {
		parts := drawnAndNot(c.sizes)
		if drawn, not := parts[", charts"], parts[", tables alone"]; !slices.Equal(drawn, c.drawn) || !slices.Equal(not, c.not) {
			t.Errorf("%v: %v and %v, want %v and %v", c.sizes, drawn, not, c.drawn, c.not)
		}
	}
}

func TestGrowthCheck(t *testing.T) {
	for args, want := range map[string]string{
		"":                       "",
		"--scenarios 1,2":        "--scenarios needs three numbers or more",
		"--slots 1":              "--slots needs two numbers or more that grow",
		"--slots 16,1":           "--slots needs two numbers or more that grow",
		"--cpus 2,2":             "--cpus needs two numbers or more that grow",
		"--deaths 0,5":           "--deaths needs two numbers or more that grow",
		"--only slots,scenarios": "",
		"--only slot":            `--only "slot" is not one of scenarios, deaths, slots, cpus (did you mean slots?)`,
		"--scenarios 1,2,10001":  "--scenarios must be at most 10000, not 10001",
		"--deaths 1,20000000":    "--deaths must be at most 16777216, not 20000000",
		"--slots 1,65537":        "--slots must be at most 65536, not 65537",
		"--cpus 1,256":           "--cpus must be at most 255, not 256",
		"--rounds 0":             "--rounds must be from 1 to 100",
		"--limit NaN":            "--limit must be above 0",
	} {
		g := new(growth)
		fs := pflag.NewFlagSet("growth", pflag.ContinueOnError)
		g.AddFlags(fs)
		if err := fs.Parse(strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := g.Check(); err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
	}
}
