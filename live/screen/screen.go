// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"context"
	"io"

	"github.com/mapprof/mapprof/live"
)

// Run shows a source until it ends, or ctx does, which is no error.
func Run(ctx context.Context, s live.Source, o live.Options, in io.Reader, out, errOut io.Writer) error {
	return plain(ctx, s, o, out)
}
