// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/term"

	"github.com/mapprof/mapprof/live"
)

// Run shows a source until it ends, its reader quits, or ctx has ended; none of these is
// an error.
func Run(ctx context.Context, s live.Source, o live.Options, in io.Reader, out io.Writer) error {
	if o.Plain || o.JSON || !isTerminal(in) || !isTerminal(out) || os.Getenv("TERM") == "dumb" {
		return plain(ctx, s, o, out)
	}
	return full(ctx, s, o, in, out)
}

func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// full takes the terminal until the end, and leaves it as it was.
func full(ctx context.Context, s live.Source, o live.Options, in io.Reader, out io.Writer) error {
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	p := tea.NewProgram(&screen{}, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler())
	over := make(chan struct{})
	go func() {
		defer close(over)
		p.Send(ended{watch(watching, s, o.Limits, p)})
	}()
	last, err := p.Run()
	cancel()
	<-over // the source is its caller's again
	if err != nil && ctx.Err() != nil && !errors.Is(err, tea.ErrProgramPanic) {
		return nil // a signal
	}
	if s, ok := last.(*screen); ok && err == nil {
		err = s.failed
	}
	return err
}

// watch passes on what a source tells. A panic is an error here, so that the terminal is
// restored first.
func watch(ctx context.Context, s live.Source, l live.Limits, p *tea.Program) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("watch: panic: %v\n%s", r, debug.Stack())
		}
	}()
	return s.Watch(ctx, l, func(snap *live.Snapshot) error {
		p.Send(told{snap})
		return nil
	})
}
