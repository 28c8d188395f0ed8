// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mapprof/mapprof/live"
)

// plainWidth is that of lines which go to no terminal.
const plainWidth = 120

// drain is how long the last lines wait for deaths that are under way.
const drain = 2 * time.Second

// plain writes a block of lines, or an object, for each snapshot.
func plain(ctx context.Context, s live.Source, o live.Options, out io.Writer) error {
	o.Drain = drain
	return s.Watch(ctx, o.Limits, func(snap *live.Snapshot) error {
		text := block(snap, plainWidth)
		if o.JSON {
			data, err := json.Marshal(snap)
			if err != nil {
				return fmt.Errorf("print json: %w", err)
			}
			text = string(data) + "\n"
		}
		_, err := io.WriteString(out, text)
		return err
	})
}

// block is a snapshot as lines, with an empty one behind it.
func block(s *live.Snapshot, width int) string {
	lines := append([]string{s.Time.UTC().Format(time.RFC3339)}, summary(s, width)...)
	if len(s.Owners) > 0 || s.Others != nil {
		heading, rows := table(s.Owners, s.Others, width)
		lines = append(append(lines, heading), rows...)
	}
	return strings.Join(lines, "\n") + "\n\n"
}
