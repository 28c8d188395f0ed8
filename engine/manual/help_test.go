// SPDX-License-Identifier: Apache-2.0

//go:build linux

package manual

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/internal/golden"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	_ "github.com/mapprof/mapprof/workloads/all"
)

// TestEachWorkload: there is help on each, with every flag and strategy that it has.
func TestEachWorkload(t *testing.T) {
	if len(workloads.All()) < 5 {
		t.Fatalf("found only %d workloads", len(workloads.All()))
	}
	for _, d := range workloads.All() {
		text, ok := Topic(d.Name, 80)
		if !ok {
			t.Errorf("no help on %s", d.Name)
		}
		fs := pflag.NewFlagSet(d.Name, pflag.ContinueOnError)
		d.New().AddFlags(fs)
		fs.VisitAll(func(f *pflag.Flag) {
			if shown := strings.Contains(text, "--"+f.Name+" "); shown == f.Hidden {
				t.Errorf("%s: --%s shown: %v", d.Name, f.Name, shown)
			}
		})
		for _, s := range d.New().Strategies() {
			if !strings.Contains(text, "\n  "+s+" ") {
				t.Errorf("%s: no strategy %s", d.Name, s)
			}
		}
	}
}

// TestEachPhase: there is help on each, with where it begins and ends.
func TestEachPhase(t *testing.T) {
	for _, p := range results.Phases() {
		text, ok := Topic(p.Name, 1000)
		if !ok {
			t.Errorf("no help on %s", p.Name)
		}
		wanted := []string{p.Sentence, p.From, p.To, "nanoseconds"}
		for _, group := range p.SeenBy {
			wanted = append(wanted, group...)
		}
		for _, want := range wanted {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q:\n%s", p.Name, want, text)
			}
		}
	}
}

func TestNoTopic(t *testing.T) {
	for _, name := range []string{"", "churns", "command", "limbo "} {
		if text, ok := Topic(name, 80); ok {
			t.Errorf("%q: %s", name, text)
		}
	}
}

// TestFits: help is no wider than the terminal but where one word is, a command to
// paste or a default.
func TestFits(t *testing.T) {
	for _, width := range []int{60, 80, 100} {
		var all strings.Builder
		for _, name := range []string{"churn", "bigarray", results.PhaseTasksTraceGP, results.PhaseOp} {
			text, _ := Topic(name, width)
			fmt.Fprintf(&all, "%s\n", text)
		}
		for line := range strings.Lines(topics(width) + all.String()) {
			line = strings.TrimRight(line, "\n")
			words := strings.Fields(line)
			if utf8.RuneCountInString(line) > width && len(words) > 1 && words[0] != "mapprof" {
				t.Errorf("%d columns: %q", width, line)
			}
		}
		golden.Check(t, fmt.Sprintf("testdata/help-%d.golden", width), topics(width)+"\n"+all.String())
	}
}
