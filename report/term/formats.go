// SPDX-License-Identifier: Apache-2.0

package term

import (
	"io"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/gate"
)

// Formats returns the formats in which comparisons and verdicts are printed.
func Formats() []string { return []string{"table", "json", "markdown", "csv"} }

// PrintComparison writes a comparison in one of Formats.
func PrintComparison(w io.Writer, c *compare.Comparison, format string, o Options) error {
	return writers[*compare.Comparison]{
		json: WriteComparisonJSON, markdown: WriteComparisonMarkdown,
		csv: WriteComparisonCSV, table: WriteComparison,
	}.print(w, c, format, o)
}

// PrintVerdict writes a verdict in one of Formats.
func PrintVerdict(w io.Writer, v *gate.Verdict, format string, o Options) error {
	return writers[*gate.Verdict]{
		json: WriteVerdictJSON, markdown: WriteVerdictMarkdown,
		csv: WriteVerdictCSV, table: WriteVerdict,
	}.print(w, v, format, o)
}

// writers write something in each of Formats.
type writers[T any] struct {
	json, markdown, csv func(io.Writer, T) error
	table               func(io.Writer, T, Options) error
}

func (f writers[T]) print(w io.Writer, v T, format string, o Options) error {
	switch format {
	case "json":
		return f.json(w, v)
	case "markdown":
		return f.markdown(w, v)
	case "csv":
		return f.csv(w, v)
	}
	return f.table(w, v, o)
}
