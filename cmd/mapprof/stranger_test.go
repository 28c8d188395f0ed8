// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/task"
)

// What a guest says so that the terminal does something: ESC, BEL, C1 and the
// override of the direction.
const evilWords = "\x1b[2J\x1b]0;title\a\u009b31mred\u202e"

// harmless tells whether a terminal only shows a text.
func harmless(s string) bool { return !strings.ContainsAny(s, "\x1b\a\r\u009b\u202e") }

func TestErrorsAreHarmless(t *testing.T) {
	run := &results.Run{Scenarios: []results.Scenario{{ID: "s", Trials: []results.Trial{{
		Puts: 5, Freed: 5, Expected: 6, Failures: []string{evilWords + "x\ny"}, Loss: map[string]uint64{"unmatched_free": 1, evilWords: 2},
	}}}}}
	var out, shown bytes.Buffer
	found := []trial.Diagnosis{{Error: evilWords + "not root", Phases: []string{evilWords}, Warnings: []string{evilWords},
		Target: results.Target{Kernel: results.Kernel{Release: evilWords, Build: evilWords, Cmdline: evilWords},
			Probes: []results.Probe{{Name: evilWords, Function: evilWords, Reason: evilWords, Required: true}}}}}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"several":  {errors.Join(errors.New("one"+evilWords), errors.New("two\rthree")), "mapprof: onered\ntwo three\n"},
		"console":  {&target.GuestError{Kernel: "6.12", ConsoleTail: "a" + evilWords + "\nb"}, "the end of the guest's console:\n  ared\n  b\n"},
		"failures": {engine.Verify(run), "mapprof: s trial 0: redx y\n"},
		"loss":     {engine.Verify(run), "was not recorded: red 2, unmatched_free 1 (see"},
		"doctor":   {showDiagnoses(&shown, found, "table"), "mapprof: rednot root\n"},
		"as JSON":  {showDiagnoses(&shown, found, "json"), "mapprof: rednot root\n"},
	} {
		out.Reset()
		cli.PrintError(&out, c.err)
		if got := out.String(); !harmless(got) || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	// JSON keeps U+202E: it is no control character.
	if got := strings.ReplaceAll(shown.String(), "\u202e", ""); !harmless(got) || !strings.Contains(got, `\u009b`) {
		t.Errorf("%q", got)
	}
}

func TestProgressIsHarmless(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out)
	p.Begin(0, 1, "6.12 rcu")
	p.Stage(task.Progress{Stage: "measure", Done: 3, Total: 5})
	p.End(io.EOF)
	if !harmless(out.String()) || !strings.Contains(out.String(), "[1/1] 6.12 rcu: measure 3/5") {
		t.Errorf("%q", out.String())
	}
}
