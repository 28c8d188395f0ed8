// SPDX-License-Identifier: Apache-2.0

package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/mapprof/mapprof/results"
)

// WriteJSON prints anything as JSON that is safe on a terminal.
func WriteJSON(w io.Writer, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("print json: %w", err)
	}
	var out bytes.Buffer
	for _, r := range string(data) {
		// JSON escapes C0 controls, but not DEL and C1, which terminals obey
		// too. Outside of strings there are none.
		if r >= 0x7f && r <= 0x9f {
			fmt.Fprintf(&out, `\u%04x`, r)
			continue
		}
		out.WriteRune(r)
	}
	out.WriteByte('\n')
	_, err = w.Write(out.Bytes())
	return err
}

// WriteRun prints a run as it is in run.json.
func WriteRun(w io.Writer, run *results.Run) error { return WriteJSON(w, run) }
