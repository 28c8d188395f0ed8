// SPDX-License-Identifier: Apache-2.0

package pprofview

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/google/pprof/driver"
	pprof "github.com/google/pprof/profile"
)

// startMu is held while pprof starts: its configuration is the process's.
var startMu sync.Mutex

// Views are pprof's own pages for a profile, or for the difference of two
// when base isn't nil, by their path.
func Views(p, base *pprof.Profile) (map[string]http.Handler, error) {
	startMu.Lock()
	defer startMu.Unlock()
	if err := needNoHome(); err != nil {
		return nil, fmt.Errorf("start pprof: %w", err)
	}
	src := &viewSource{FlagSet: flag.NewFlagSet("pprof", flag.ContinueOnError), profiles: map[string]*pprof.Profile{"profile": p}}
	src.SetOutput(io.Discard)
	src.args = []string{"-http=localhost:0", "-no_browser", "-symbolize=none"}
	if base != nil {
		src.profiles["base"] = base
		src.args = append(src.args, "-diff_base=base")
	}
	src.args = append(src.args, "profile")
	var views map[string]http.Handler
	err := driver.PProf(&driver.Options{
		Flagset: src, Fetch: src, Obj: noObjects{}, Sym: noSymbols{}, UI: &silentUI{},
		HTTPServer: func(args *driver.HTTPServerArgs) error {
			views = args.Handlers
			return nil
		},
	})
	if err == nil && views == nil {
		err = errors.New("it served nothing")
	}
	if err != nil {
		return nil, fmt.Errorf("start pprof: %w", err)
	}
	return harmlessViews(views), nil
}

// needNoHome lets pprof start without a home: it asks where its user's settings
// are even if it never has any.
func needNoHome() error {
	if _, err := os.UserConfigDir(); err != nil {
		return os.Setenv("XDG_CONFIG_HOME", os.DevNull)
	}
	return nil
}

// viewSource is pprof's command line, and where its profiles come from.
type viewSource struct {
	*flag.FlagSet
	args     []string
	profiles map[string]*pprof.Profile
}

// StringList implements driver.FlagSet.
func (s *viewSource) StringList(name, def, usage string) *[]*string {
	list := &[]*string{}
	s.Func(name, usage, func(v string) error {
		*list = append(*list, &v)
		return nil
	})
	return list
}

// ExtraUsage implements driver.FlagSet.
func (s *viewSource) ExtraUsage() string { return "" }

// AddExtraUsage implements driver.FlagSet.
func (s *viewSource) AddExtraUsage(string) {}

// Parse implements driver.FlagSet.
func (s *viewSource) Parse(func()) []string {
	if err := s.FlagSet.Parse(s.args); err != nil {
		return nil
	}
	return s.Args()
}

// Fetch implements driver.Fetcher. It returns no address: of what comes from
// one, pprof saves a copy in the user's home.
func (s *viewSource) Fetch(name string, _, _ time.Duration) (*pprof.Profile, string, error) {
	p := s.profiles[name]
	if p == nil {
		return nil, "", fmt.Errorf("no profile %q", name)
	}
	return p.Copy(), "", nil
}

// silentUI drops pprof's messages: a view shows its own.
type silentUI struct{}

func (*silentUI) ReadLine(string) (string, error)     { return "", io.EOF }
func (*silentUI) Print(...any)                        {}
func (*silentUI) PrintErr(...any)                     {}
func (*silentUI) IsTerminal() bool                    { return false }
func (*silentUI) WantBrowser() bool                   { return false }
func (*silentUI) SetAutoComplete(func(string) string) {}
