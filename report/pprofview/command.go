// SPDX-License-Identifier: Apache-2.0

package pprofview

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/driver"
	pprof "github.com/google/pprof/profile"
	xterm "golang.org/x/term"

	"github.com/mapprof/mapprof/analyze/profile"
)

// UsageError is a mistake in pprof's command line.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// Streams are what pprof reads commands from and writes to, but for its reports:
// they go to the process's standard output, whatever Out is.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Run is pprof with these arguments, which name runs and profiles by their
// paths. help is shown before pprof's own. Where the arguments are wrong the
// error is a UsageError.
func Run(args []string, help string, s Streams) error {
	ui := &terminal{in: bufio.NewReader(s.In), out: s.Out, err: s.Err}
	flags := newFlagSet(args, ui, help)
	if err := needNoHome(); err != nil {
		return err
	}
	err := driver.PProf(&driver.Options{
		Flagset:    flags,
		Fetch:      flags,
		Obj:        noObjects{},
		Sym:        noSymbols{},
		UI:         ui,
		HTTPServer: listen,
	})
	switch {
	case flags.helped:
		return nil
	case flags.err != nil:
		return flags.err
	case err != nil:
		return fmt.Errorf("pprof: %w", err)
	}
	return nil
}

// flagSet is pprof's flag set over package flag's, with flags allowed after
// the run directories too. It also loads the profiles: by then a run that
// isn't one can still be told in one line.
type flagSet struct {
	*flag.FlagSet
	args     []string
	ui       *terminal
	help     string
	extra    []string
	bases    []*string
	profiles map[string]*pprof.Profile
	raw      *bool
	helped   bool
	err      error
}

func newFlagSet(args []string, ui *terminal, help string) *flagSet {
	fs := flag.NewFlagSet("pprof", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	raw := fs.Bool("raw_stacks", false, "") // the help tells of it
	return &flagSet{FlagSet: fs, args: args, ui: ui, help: help, raw: raw, profiles: map[string]*pprof.Profile{}}
}

// StringList is a flag that may be repeated.
func (f *flagSet) StringList(name, def, usage string) *[]*string {
	list := &[]*string{}
	if def != "" {
		*list = append(*list, &def)
	}
	base := name == "base" || name == "diff_base"
	f.Func(name, usage, func(s string) error {
		*list = append(*list, &s)
		if base {
			f.bases = append(f.bases, &s)
		}
		return nil
	})
	return list
}

// ExtraUsage implements driver.FlagSet.
func (f *flagSet) ExtraUsage() string { return strings.Join(f.extra, "\n") }

// AddExtraUsage implements driver.FlagSet.
func (f *flagSet) AddExtraUsage(s string) { f.extra = append(f.extra, s) }

// Parse returns the run directories. It returns none, which makes pprof stop,
// after a request for help and after an error.
func (f *flagSet) Parse(usage func()) []string {
	var sources []string
	for rest := f.args; ; {
		err := f.FlagSet.Parse(rest)
		if errors.Is(err, flag.ErrHelp) {
			f.helped = true
			f.ui.err = f.ui.out // help that was asked for is output
			f.ui.Print(f.help + "\n")
			usage()
			return nil
		}
		if err != nil {
			f.err = &UsageError{fmt.Errorf("pprof: %w (see mapprof pprof --help)", err)}
			return nil
		}
		if rest = f.Args(); len(rest) == 0 {
			break
		}
		sources, rest = append(sources, rest[0]), rest[1:]
	}
	if len(sources) == 0 {
		f.err = &UsageError{errors.New("pprof: no run directory given (mapprof pprof DIR -top)")}
		return nil
	}
	var bases []string
	for _, b := range f.bases {
		bases = append(bases, *b)
	}
	for _, src := range slices.Concat(sources, bases) {
		if f.profiles[src] != nil {
			continue
		}
		p, err := profile.Open(src)
		if err != nil {
			f.err = err
			return nil
		}
		f.profiles[src] = p
	}
	if !*f.raw {
		f.group(sources, bases)
	}
	return sources
}

// group replaces the profiles by ones for the eye. One that is on both sides is the
// same on each.
func (f *flagSet) group(sources, bases []string) {
	of := func(names []string) (ps []*pprof.Profile) {
		for _, name := range names {
			ps = append(ps, f.profiles[name])
		}
		return ps
	}
	if len(bases) == 0 {
		for _, src := range sources {
			f.profiles[src] = profile.Group(f.profiles[src])
		}
		return
	}
	b, c, notes := profile.GroupSides(of(bases), of(sources))
	c[0].Comments = append(c[0].Comments, notes...)
	for i, src := range bases {
		f.profiles[src] = b[i]
	}
	for i, src := range sources {
		f.profiles[src] = c[i]
	}
}

// Fetch implements driver.Fetcher. It returns no URL: pprof would save a copy
// in the user's home of what comes from one.
func (f *flagSet) Fetch(src string, _, _ time.Duration) (*pprof.Profile, string, error) {
	p := f.profiles[src]
	if p == nil {
		return nil, "", fmt.Errorf("open run %s: not loaded", src)
	}
	return p.Copy(), "", nil
}

// terminal is pprof's side of a terminal.
type terminal struct {
	in       *bufio.Reader
	out, err io.Writer
}

// ReadLine implements driver.UI.
func (u *terminal) ReadLine(prompt string) (string, error) {
	fmt.Fprint(u.out, prompt)
	return u.in.ReadString('\n')
}

// Print implements driver.UI.
func (u *terminal) Print(args ...any) {
	fmt.Fprintln(u.err, strings.TrimSuffix(fmt.Sprint(args...), "\n"))
}

// PrintErr implements driver.UI.
func (u *terminal) PrintErr(args ...any) { u.Print(args...) }

// IsTerminal implements driver.UI. It says whether reports are shown as they
// come, which no UI without an editor of its own does.
func (u *terminal) IsTerminal() bool { return false }

// WantBrowser implements driver.UI.
func (u *terminal) WantBrowser() bool { return xterm.IsTerminal(int(os.Stdout.Fd())) }

// SetAutoComplete implements driver.UI.
func (u *terminal) SetAutoComplete(func(string) string) {}
